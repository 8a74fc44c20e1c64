"""What measure.py asks of a queue.

The methods are coroutines because half of the peers are asynchronous. The others block in them,
which disturbs nobody: nothing else runs in that loop.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar


class Peer(ABC):
    """One queue, whose broker is at the URL in PEER_URL.

    Attributes:
        package: the distribution whose version is reported.
        durability: where accepted tasks are, and what becomes of one whose worker dies.
        tasks: how many no-op tasks one run has, so that it takes some seconds.
        workers: the commands that together start two worker processes.
        has_results: whether `result` works.
    """

    package: ClassVar[str]
    durability: ClassVar[str]
    tasks: ClassVar[int]
    workers: ClassVar[Sequence[Sequence[str]]]
    has_results: ClassVar[bool] = True

    @abstractmethod
    async def open(self) -> None:
        """Connect, and make the tables if there are any. The workers are started after this."""

    @abstractmethod
    async def close(self) -> None:
        """Disconnect. The workers have ended before this."""

    @abstractmethod
    async def enqueue(self, count: int) -> None:
        """Have `count` no-op tasks accepted, in the fastest way that is documented."""

    @abstractmethod
    async def unfinished(self) -> int:
        """How many tasks the broker still knows as waiting, running or not acknowledged."""

    async def result(self) -> None:
        """Submit one task and wait for its result."""
        raise NotImplementedError(f"{self.package} has no results")
