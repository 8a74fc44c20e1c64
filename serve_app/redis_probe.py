"""Asks a Redis how it is. Nothing of the queue is kept there.

Each look has a connection of its own: it is a look every two seconds at most, and a connection
that is not kept cannot be a stale one.
"""

import asyncio
from collections import Counter

from redis.asyncio import Redis
from redis.exceptions import RedisError

from monitoring.redis_reading import RedisReading
from serve_app.redis_away import RedisAway

#: Less than a health check waits.
_PATIENCE_SECONDS = 0.6
#: In more than these nobody counts by type: it takes a call for each.
_MOST_KEYS = 1_000
#: Told as 0 if there are none, so that the series are there from the start.
_TYPES = ("string", "list", "hash", "set", "zset", "stream")


class RedisProbe:
    """Looks at the Redis at `url`; without an answer it is away after `patience_seconds`."""

    def __init__(self, url: str, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        self._url = url
        self._patience_seconds = patience_seconds

    async def read(self) -> RedisReading:
        """How it is now.

        Raises:
            RedisAway: no answer in time, or an error instead of one.
        """
        try:
            async with asyncio.timeout(self._patience_seconds), Redis.from_url(self._url) as redis:
                return await _read(redis)
        except TimeoutError as error:
            raise RedisAway(f"Redis did not answer within {self._patience_seconds:g} s") from error
        except (RedisError, OSError) as error:
            raise RedisAway(f"Redis: {error}") from error


async def _read(redis: Redis) -> RedisReading:
    info = await redis.info()
    return RedisReading(
        memory_bytes=info["used_memory"],
        connected_clients=info["connected_clients"],
        commands=info["total_commands_processed"],
        ops_per_second=float(info["instantaneous_ops_per_sec"]),
        keys_by_type=await _keys_by_type(redis),
    )


async def _keys_by_type(redis: Redis) -> dict[str, int] | None:
    if await redis.dbsize() > _MOST_KEYS:
        return None
    keys = [key async for key in redis.scan_iter(count=_MOST_KEYS)]
    async with redis.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.type(key)
        kinds = [kind.decode() for kind in await pipeline.execute()]
    counts = Counter(dict.fromkeys(_TYPES, 0))
    counts.update(kind for kind in kinds if kind != "none")  # it was deleted meanwhile
    return dict(counts)
