"""What fails, and where?"""

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.grafana.board import Board
from monitoring.grafana.worker_performance import error_rate


def error_analysis() -> Dashboard:
    """Failures, retries and timeouts of tasks, by queue, task and worker; errors of the API."""
    board = Board("task-queue-errors", "Error Analysis", "What fails, and where?")
    board.choice("queue", "Queue", "label_values(task_queue_queue_tasks, queue)")
    for title, counter, meaning in (
        ("Failures", "failure_rate", "Tasks a minute that failed for good: the dead-letter queue."),
        ("Retries", "retry_rate", "Attempts a minute that will be tried again."),
        ("Timeouts", "timeout_rate", "Attempts a minute that were stopped at their time limit."),
    ):
        rate = f"60 * sum(rate(task_queue:{counter}[$__rate_interval]))"
        board.panel(title, units.CountsPerMinute, [(rate, "a minute")], meaning)
    board.panel(
        "Error rate by worker", units.PercentUnit,
        [error_rate(chosen="")],
        "Attempts that did not succeed, of those ended: one worker alone points at its machine.",
    )  # fmt: skip
    board.panel("Failed tasks by name", units.Short, [_most("task")], _SINCE)
    board.panel("Failed tasks by queue", units.Short, [_most("queue")], _SINCE)
    board.panel(
        "API answers by status", units.RequestsPerSecond,
        [("sum by (status) (rate(api:requests[$__rate_interval]))", "{{status}}")],
    )  # fmt: skip
    board.panel(
        "Lost workers and refused reports", units.Short,
        [
            ('sum(workers:total{status="lost"})', "workers lost in the last 15 minutes"),
            ("sum(task_queue_refused_reports_total)", "refused reports"),
        ],
        "A refused report is of an attempt that was no longer current; counted since the "
        "scheduler's start.",
    )  # fmt: skip
    return board.build()


_SINCE = "The ten largest counts since the store was made."


def _most(label: str) -> tuple[str, str]:
    failed = 'task_queue_tasks_total{event="failed", queue=~"$queue"}'
    return f"topk(10, sum by ({label}) ({failed}))", f"{{{{{label}}}}}"
