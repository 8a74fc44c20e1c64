"""What does each worker do?"""

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.grafana.board import Board


def worker_performance() -> Dashboard:
    """Load, speed and errors by worker."""
    board = Board("task-queue-workers", "Worker Performance", "What does each worker do?")
    board.choice("worker", "Worker", "label_values(worker:uptime_seconds, worker_id)")
    board.panel(
        "Worker utilization (%)", units.Percent, [_by_worker("utilization_percent")],
        "Slots in use, of all that a worker has.",
    )  # fmt: skip
    board.panel(
        "Task rate by worker", units.CountsPerMinute, [_by_worker("task_rate")],
        "Attempts ended a minute, on average since the worker or the scheduler started.",
    )  # fmt: skip
    board.panel(
        "Error rate by worker", units.PercentUnit, [_by_worker("error_rate")],
        "Attempts that did not succeed, of those ended.",
    )  # fmt: skip
    board.panel("Uptime by worker", units.Seconds, [_by_worker("uptime_seconds")])
    rate, legend = _by_worker("task_rate")
    everybody = "scalar(sum(max by (worker_id) (worker:task_rate)))"
    board.panel(
        "Task distribution", units.PercentUnit, [(f"{rate} / {everybody}", legend)],
        "Each worker's share of the task rate of all.",
    )  # fmt: skip
    board.panel("Average duration by worker", units.Seconds, [_by_worker("avg_duration_seconds")])
    board.panel("Restarts by worker", units.Short, [_by_worker("restart_count")])
    board.panel(
        "Workers by status", units.Short, [("sum by (status) (workers:total)", "{{status}}")],
        "Lost ones stay for 15 minutes.",
    )  # fmt: skip
    return board.build()


def _by_worker(figure: str) -> tuple[str, str]:
    """One line for each worker, also where somebody stores its own scrape beside the queue's."""
    chosen = f'worker:{figure}{{worker_id=~"$worker"}}'
    return f"max by (worker_id) ({chosen})", "{{worker_id}}"
