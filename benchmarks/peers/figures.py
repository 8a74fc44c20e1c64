"""What was measured of one queue. Used with both Pythons: standard library only."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figures:
    """One value for each run; `latencies_seconds` has one list for each, or none without results.

    Attributes:
        durability: where accepted tasks are, and what becomes of one whose worker dies.
        tasks: no-op tasks in one run.
    """

    version: str
    durability: str
    tasks: int
    enqueued_per_second: Sequence[float]
    done_per_second: Sequence[float]
    latencies_seconds: Sequence[Sequence[float]]
