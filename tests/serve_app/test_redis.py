"""A real Redis: its health and its series, while it is there and when it is gone."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from benchmarks.peers.broker import Broker
from cluster.free_ports import free_ports
from serve_app.redis_away import RedisAway
from serve_app.redis_probe import RedisProbe
from tests.serve_app.conftest import MakeWorld

pytestmark = pytest.mark.anyio

HEALTH = "/api/v1/health/redis"
_PATIENCE_SECONDS = 30.0  #: so that a busy machine is not a Redis that is away


async def _fill(url: str, strings: int) -> None:
    async with Redis.from_url(url) as redis:
        await redis.mset({f"key{n}": "value" for n in range(strings)})
        await redis.hset("table", mapping={"a": "1"})


@asynccontextmanager
async def _stopped(broker: Broker) -> AsyncIterator[None]:
    async with Redis.from_url(broker.url) as redis:
        pid = (await redis.info("server"))["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_figures_are_those_of_the_server(redis_server: Broker) -> None:
    await _fill(redis_server.url, 3)
    probe = RedisProbe(redis_server.url, _PATIENCE_SECONDS)
    reading = await probe.read()
    assert reading.keys_by_type is not None
    kinds = {kind: count for kind, count in reading.keys_by_type.items() if count}
    assert kinds == {"string": 3, "hash": 1}
    assert reading.keys_by_type["list"] == 0
    assert reading.memory_bytes > 100_000
    assert reading.connected_clients == 1
    async with Redis.from_url(redis_server.url) as other:
        await other.ping()
        again = await probe.read()
    assert again.connected_clients == 2
    assert again.commands > reading.commands


async def test_many_keys_are_not_counted_by_type(redis_server: Broker) -> None:
    await _fill(redis_server.url, 1_000)
    assert (await RedisProbe(redis_server.url, _PATIENCE_SECONDS).read()).keys_by_type is None


async def test_health_and_series(make_world: MakeWorld, redis_server: Broker) -> None:
    world = await make_world(read_redis=RedisProbe(redis_server.url, _PATIENCE_SECONDS).read)
    health = (await world.http.get(HEALTH)).json()
    assert health.keys() == {"status", "memory_mb", "connected_clients", "ops_per_second"}
    assert (health["status"], health["connected_clients"]) == ("healthy", 1)
    assert health["memory_mb"] > 0.1
    check = (await world.http.get("/health")).json()["checks"]["redis"]
    assert check == {"status": "healthy", "response_time_ms": 0.0}
    text = (await world.http.get("/metrics")).text
    assert "task_queue_redis_up 1.0\n" in text
    assert "redis:connected_clients 1.0\n" in text


async def test_without_redis_the_queue_is_degraded_and_still_takes_traffic(
    make_world: MakeWorld,
) -> None:
    (port,) = free_ports(1)
    url = f"redis://127.0.0.1:{port}/0"
    world = await make_world(read_redis=RedisProbe(url, _PATIENCE_SECONDS).read)
    answer = await world.http.get(HEALTH)
    assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
    assert "Redis" in answer.json()["detail"]
    whole = await world.http.get("/health")
    assert (whole.status_code, whole.json()["status"]) == (200, "degraded")
    assert whole.json()["checks"]["redis"]["status"] == "unhealthy"
    text = (await world.http.get("/metrics")).text
    assert "task_queue_redis_up 0.0\n" in text
    assert "redis:" not in text


async def test_a_redis_that_is_stopped_does_not_hold_up_health(
    make_world: MakeWorld, redis_server: Broker
) -> None:
    probe = RedisProbe(redis_server.url, _PATIENCE_SECONDS)
    world = await make_world(read_redis=probe.read, check_seconds=2.0)
    async with _stopped(redis_server):
        async with asyncio.timeout(20):
            answer = await world.http.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        assert "within 2 s" in answer.json()["checks"]["redis"]["detail"]
        with pytest.raises(RedisAway, match=r"within 0\.1 s"):
            await RedisProbe(redis_server.url, 0.1).read()


async def test_a_wrong_password_is_said_and_not_shown(redis_server: Broker) -> None:
    wrong = redis_server.url.replace("redis://:", "redis://:wrong-secret-")
    with pytest.raises(RedisAway, match=r"(?i)password|auth") as caught:
        await RedisProbe(wrong, _PATIENCE_SECONDS).read()
    assert "wrong-secret" not in str(caught.value)
