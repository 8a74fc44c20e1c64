"""The machines, the store and the API, as families."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from monitoring.histogram_family import histogram_family
from monitoring.plain_counter import plain_counter
from task_queue.replica_book import ReplicaCounts
from task_queue.scheduler_api import NodeReading, StoreReading

_GAUGES = {
    "cpu_usage_percent": ("cpu_percent", "Use of all processors together"),
    "memory_usage_percent": ("memory_percent", "Used memory"),
    "disk_usage_percent": ("disk_percent", "Use of the file system of /"),
}
_BYTES = {
    "network_in_bytes": "Bytes received since the machine started",
    "network_out_bytes": "Bytes sent since the machine started",
    "disk_read_bytes": "Bytes read from disks since the machine started",
    "disk_write_bytes": "Bytes written to disks since the machine started",
}


def system_families(nodes: list[NodeReading]) -> Iterator[Metric]:
    """Each machine."""
    for name, (attribute, text) in _GAUGES.items():
        gauge = GaugeMetricFamily(f"system:{name}", text, labels=("node",))
        for node in nodes:
            gauge.add_metric((node.node,), getattr(node, attribute))
        yield gauge
    for name, text in _BYTES.items():
        samples = [({"node": node.node}, getattr(node, name)) for node in nodes]
        yield plain_counter(f"system:{name}", text, samples)


def database_families(store: StoreReading) -> Iterator[Metric]:
    """The store, as the scheduler and all replicas use it."""
    connections = {
        "in_use": ("Connections at work", store.connections_in_use),
        "available": ("Connections that are idle or may be opened", store.connections_available),
    }
    for name, (text, value) in connections.items():
        yield GaugeMetricFamily(f"database:pool_connections_{name}", text, value=value)
    yield histogram_family(
        "database:query_duration_seconds", "Questions and commits", "", {"": store.seconds}
    )
    queries = CounterMetricFamily("database:queries", "Calls of the store", labels=("type",))
    queries.add_metric(("insert",), store.inserts)
    queries.add_metric(("select",), store.selects)
    queries.add_metric(("update",), store.updates)
    yield queries


def api_families(counts: ReplicaCounts) -> Iterator[Metric]:
    """All replicas of the API together."""
    samples = [({"status": status}, count) for status, count in sorted(counts.answers.items())]
    yield plain_counter("api:requests", "HTTP answers of all replicas by status", samples)
    yield histogram_family(
        "task_queue_api_request_seconds", "From a request to the head of its answer", "route",
        counts.routes,
    )  # fmt: skip
