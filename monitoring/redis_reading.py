"""What a Redis server says of itself."""

from collections.abc import Mapping

from msgspec import Struct


class RedisReading(Struct, frozen=True):
    """At one moment."""

    memory_bytes: int
    connected_clients: int  #: with the one that asks
    commands: int  #: since the server started
    ops_per_second: float  #: as the server measures it
    keys_by_type: Mapping[str, int] | None  #: None: too many keys to look at each
