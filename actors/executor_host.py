"""What a pool needs of a child process, whichever way it runs tasks.

A host knows which leases its child has, when they started, and what is to become of them when the
child ends. It decides nothing about what to send: that is the pool's.
"""

from typing import Protocol

from msgspec import Struct

from actors.executor_buffer import Kind
from actors.executor_process import ExecutorProcess
from task_queue.core.task import Lease, Report

#: A chunk behind a task that runs for so long was estimated wrongly and is taken back.
STUCK_SECONDS = 0.05


class Aftermath(Struct):
    """What became of the leases of a child that ended."""

    reports: list[Report]
    unstarted: list[Lease]


class Host(Protocol):
    """One child process and the leases it has."""

    kind: Kind
    process: ExecutorProcess
    ready: bool  #: its modules are imported; leases may be sent
    finished: int  #: attempts that ended in it

    @property
    def load(self) -> int:
        """Leases sent and not ended."""

    @property
    def slots_used(self) -> int:
        """Tasks that run in it."""

    def send(self, leases: list[Lease], now: float) -> None:
        """Have `leases` run. `now` is monotonic, here and below."""

    def settle(self, report: Report, now: float) -> tuple[Lease, Report] | None:
        """An attempt ended by itself: its lease and its final report. None: it has no such."""

    def heard(self, task_id: str, attempt: int, text: str) -> None:
        """A running attempt printed `text`."""

    def stop(self, task_id: str, attempt: int, now: float) -> list[Lease] | None:
        """Cancel an attempt that was sent here. None: it was not. Else what is given back
        unstarted; if the attempt itself is among it, that is all, else its report follows."""

    def give_back(self) -> list[Lease]:
        """Take back from the child what it has not started."""

    def check(self, now: float) -> list[Lease]:
        """Enforce timeouts; returns what was taken back because of it."""

    def stuck(self, now: float) -> list[tuple[Lease, float]]:
        """What has been running for more than 50 ms, and for how many seconds."""

    def bury(self, cause: str, now: float, wall: float) -> Aftermath:
        """The child is gone. Must be called before its output is closed."""
