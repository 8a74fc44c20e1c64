"""Do the machines and the database have room?"""

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.grafana.board import Board


def system_metrics() -> Dashboard:
    """Machines by node, and the store as the queue uses it."""
    board = Board(
        "task-queue-system", "System Metrics", "Do the machines and the database have room?"
    )
    board.choice("node", "Node", "label_values(system:cpu_usage_percent, node)")
    board.panel("CPU usage", units.Percent, [_gauge("cpu_usage_percent")])
    board.panel("Memory usage", units.Percent, [_gauge("memory_usage_percent")])
    board.panel(
        "Disk I/O", units.BytesPerSecondIEC,
        [_flow("disk_read_bytes", "read"), _flow("disk_write_bytes", "written")],
    )  # fmt: skip
    board.panel(
        "Network throughput", units.BytesPerSecondIEC,
        [_flow("network_in_bytes", "in"), _flow("network_out_bytes", "out")],
        "All interfaces, the loopback too.",
    )  # fmt: skip
    pool = "database:pool_connections"
    board.panel(
        "Database connections", units.Short,
        [(f"sum({pool}_in_use)", "in use"), (f"sum({pool}_available)", "available")],
        "Of the scheduler and all replicas of the API.",
    )  # fmt: skip
    board.panel("Disk usage", units.Percent, [_gauge("disk_usage_percent")])
    board.panel(
        "Database calls", units.OpsPerMinute,
        [("60 * sum by (type) (rate(database:queries_total[$__rate_interval]))", "{{type}}")],
    )  # fmt: skip
    buckets = "sum by (le) (rate(database:query_duration_seconds_bucket[$__rate_interval]))"
    board.panel(
        "Database call duration", units.Seconds,
        [(f"histogram_quantile({q / 100}, {buckets})", f"p{q}") for q in (50, 99)],
    )  # fmt: skip
    return board.build()


def _gauge(figure: str) -> tuple[str, str]:
    return f'max by (node) (system:{figure}{{node=~"$node"}})', "{{node}}"


def _flow(figure: str, direction: str) -> tuple[str, str]:
    counter = f'system:{figure}{{node=~"$node"}}'
    return f"sum by (node) (rate({counter}[$__rate_interval]))", f"{{{{node}}}} {direction}"
