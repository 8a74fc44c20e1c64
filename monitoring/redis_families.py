"""Redis, as families."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from monitoring.redis_reading import RedisReading


def redis_families(reading: RedisReading | None) -> Iterator[Metric]:
    """What is configured; `reading` is None if it does not answer."""
    up = "1: the Redis of redis.url answers"
    yield GaugeMetricFamily("task_queue_redis_up", up, value=reading is not None)
    if reading is None:
        return
    clients = reading.connected_clients
    yield GaugeMetricFamily("redis:connected_clients", "Connections to Redis", value=clients)
    memory = reading.memory_bytes
    yield GaugeMetricFamily("redis:memory_bytes", "Memory that Redis uses", value=memory)
    text = "Commands since Redis started: use rate()"
    yield CounterMetricFamily("redis:commands", text, value=reading.commands)
    if reading.keys_by_type is not None:
        keys = GaugeMetricFamily("redis:keys_by_type", "Keys of the database", labels=("type",))
        for kind, count in sorted(reading.keys_by_type.items()):
            keys.add_metric((kind,), count)
        yield keys
