"""What a history may do at most before a promise counts as broken."""

from math import inf

from msgspec import Struct


class Bounds(Struct, frozen=True):
    """How far orders may be inverted, and how late what depends on a time may be."""

    read_ahead: int  #: leases that all workers hold together, slots included
    held_seconds: float = 0.0  #: how long a silent worker may keep a task from starting
    worker_leases: int | None = None  #: that one worker holds; None: as many as all
    #: After its time, how late a task may still begin. Infinite: expiry is not judged, for one
    #: because the wall clock was set.
    expires_late_seconds: float = inf
    #: After a due time, how late a schedule may fire: the longest outage. Infinite: not judged.
    fires_late_seconds: float = inf
    kept_seconds: float = 0.0  #: a task that is over is not pruned sooner
