"""Is the queue keeping up?"""

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.grafana.board import Board

_SECONDS = "task_queue:processing_time_seconds"


def task_queue_overview() -> Dashboard:
    """Depth, rates and durations of all queues together, and what waits in each."""
    board = Board("task-queue-overview", "Task Queue Overview", "Is the queue keeping up?")
    board.choice("queue", "Queue", "label_values(task_queue_queue_tasks, queue)")
    board.panel(
        "Queue depth over time", units.Short,
        [("sum by (priority) (task_queue:queue_depth)", "{{priority}}")],
        "Tasks that wait for a worker, by priority: high 7..9, normal 4..6, low 0..3.",
    )  # fmt: skip
    for title, counter, meaning in (
        ("Task submission rate", "submission_rate", "Accepted tasks a minute."),
        ("Task completion rate", "completion_rate", "Tasks a minute that completed."),
    ):
        rate = f"60 * sum(rate(task_queue:{counter}[$__rate_interval]))"
        board.panel(title, units.CountsPerMinute, [(rate, "a minute")], meaning)
    failed = "sum(rate(task_queue:failure_rate[$__rate_interval]))"
    completed = "sum(rate(task_queue:completion_rate[$__rate_interval]))"
    board.panel(
        "Failure rate", units.PercentUnit,
        [(f"{failed} / ({failed} + {completed} > 0)", "failed")],
        "Tasks that failed for good, of those that completed or failed. Empty while none ends.",
    )  # fmt: skip
    board.panel(
        "Average processing time", units.Seconds,
        [(
            f"sum(rate({_SECONDS}_sum[$__rate_interval]))"
            f" / (sum(rate({_SECONDS}_count[$__rate_interval])) > 0)", "mean",
        )],
        "How long an attempt ran, whatever came of it. Empty while none ends.",
    )  # fmt: skip
    buckets = f"sum by (le) (rate({_SECONDS}_bucket[$__rate_interval]))"
    board.panel(
        "Processing time percentiles", units.Seconds,
        [(f"histogram_quantile({q / 100}, {buckets})", f"p{q}") for q in (50, 95, 99)],
        "No finer than the buckets of the histogram.",
    )  # fmt: skip
    chosen = 'queue=~"$queue"'
    board.panel(
        "Waiting, delayed and running by queue", units.Short,
        [(f"sum by (queue, state) (task_queue_queue_tasks{{{chosen}}})", "{{queue}} {{state}}")],
    )  # fmt: skip
    board.panel(
        "Oldest waiting task by queue", units.Seconds,
        [(f"max by (queue) (task_queue_queue_oldest_wait_seconds{{{chosen}}})", "{{queue}}")],
    )  # fmt: skip
    return board.build()
