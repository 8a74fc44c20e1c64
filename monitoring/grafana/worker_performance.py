"""What does each worker do?"""

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.grafana.board import Board

_WORKER = "{{worker_id}}"
_CHOSEN = 'worker_id=~"$worker"'


def _rate(counter: str, chosen: str = _CHOSEN) -> str:
    """By worker and second."""
    series = f"task_queue_worker_{counter}_total{{{chosen}}}"
    return f"sum by (worker_id) (rate({series}[$__rate_interval]))"


_ENDED = _rate("attempts")


def worker_performance() -> Dashboard:
    """Load, speed and errors by worker."""
    board = Board("task-queue-workers", "Worker Performance", "What does each worker do?")
    board.choice("worker", "Worker", "label_values(worker:uptime_seconds, worker_id)")
    board.panel(
        "Worker utilization (%)", units.Percent, [_by_worker("utilization_percent")],
        "Slots in use, of all that a worker has.",
    )  # fmt: skip
    board.panel(
        "Task rate by worker", units.CountsPerMinute, [(f"60 * {_ENDED}", _WORKER)],
        "Attempts ended a minute.",
    )  # fmt: skip
    board.panel(
        "Error rate by worker", units.PercentUnit, [error_rate()],
        "Attempts that did not succeed, of those ended. Empty while none ends.",
    )  # fmt: skip
    board.panel("Uptime by worker", units.Seconds, [_by_worker("uptime_seconds")])
    everybody = "scalar(sum(rate(task_queue_worker_attempts_total[$__rate_interval])) > 0)"
    board.panel(
        "Task distribution", units.PercentUnit, [(f"{_ENDED} / {everybody}", _WORKER)],
        "Each worker's share of the task rate of all. Empty while none ends.",
    )  # fmt: skip
    board.panel(
        "Average duration by worker", units.Seconds,
        [(f"{_rate('busy_seconds')} / ({_ENDED} > 0)", _WORKER)],
        "Of the attempts that ended. Empty while none ends.",
    )  # fmt: skip
    board.panel("Restarts by worker", units.Short, [_by_worker("restart_count")])
    board.panel(
        "Workers by status", units.Short, [("sum by (status) (workers:total)", "{{status}}")],
        "Lost ones stay for 15 minutes.",
    )  # fmt: skip
    return board.build()


def error_rate(chosen: str = _CHOSEN) -> tuple[str, str]:
    """Query and legend: attempts that did not succeed, of those that a worker ended.

    Args:
        chosen: which workers, as a label matcher; empty: all.
    """
    failed = _rate("attempts", ", ".join(filter(None, (chosen, 'outcome="failed"'))))
    return f"{failed} / ({_rate('attempts', chosen)} > 0)", _WORKER


def _by_worker(figure: str) -> tuple[str, str]:
    """One line for each worker, also where somebody stores its own scrape beside the queue's."""
    return f"max by (worker_id) (worker:{figure}{{{_CHOSEN}}})", _WORKER
