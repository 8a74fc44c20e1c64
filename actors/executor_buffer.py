"""The leases that a worker holds and has not given to a child: highest priority first, then oldest.

One line for each kind of executor, since a slot may be free for one kind and not for the other.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Literal

from task_queue.core.task import Lease

Kind = Literal["process", "async"]
KINDS: tuple[Kind, ...] = ("process", "async")

#: A chunk is sent to a child in one go. Its tasks wait for each other, so it must be short.
CHUNK_SECONDS = 0.005
#: A task that takes longer travels alone: two of them would be more than a chunk.
SHORT_SECONDS = 0.0025

#: Priority and seq as they sort: the next to start is last, where taking it moves no other. The
#: attempt keeps two leases from being compared themselves.
_Entry = tuple[int, int, int, Lease]


class LeaseBuffer:
    """Leases in the order in which they are to start."""

    def __init__(self) -> None:
        self._lines: dict[Kind, list[_Entry]] = {kind: [] for kind in KINDS}

    def __len__(self) -> int:
        return sum(len(line) for line in self._lines.values())

    def count(self, kind: Kind) -> int:
        return len(self._lines[kind])

    def put_all(self, leases: Iterable[Lease], kinds: Mapping[str, Kind]) -> None:
        """Take leases in.

        Args:
            kinds: by task name; one that is not in it is for a process child.
        """
        fresh: dict[Kind, list[_Entry]] = {kind: [] for kind in KINDS}
        kind_of = kinds.get
        for lease in leases:
            entry = (lease.priority, -lease.seq, -lease.attempt, lease)
            fresh[kind_of(lease.name, "process")].append(entry)
        for kind, entries in fresh.items():
            if entries:
                self._merge(self._lines[kind], entries)

    def _merge(self, line: list[_Entry], entries: list[_Entry]) -> None:
        entries.sort()
        if line and entries[-1] < line[0]:  # all of them later, as they mostly come
            line[:0] = entries  # so the thousands in the line are moved, but not compared
        else:
            line += entries
            line.sort()

    def first_kind(self, kinds: tuple[Kind, ...]) -> Kind | None:
        """Which of `kinds` the next lease to start is of; None if there is none."""
        waiting = [kind for kind in kinds if self._lines[kind]]
        if len(waiting) < 2:
            return waiting[0] if waiting else None
        return max(waiting, key=lambda kind: self._lines[kind][-1][:3])

    def take(self, kind: Kind) -> Lease:
        """Take the first lease of a kind that has one."""
        return self._lines[kind].pop()[3]

    def take_chunk(self, limit: int, seconds: Mapping[str, float]) -> list[Lease]:
        """Take what an idle process child should be sent: at most `limit` leases, 5 ms of work.

        Args:
            limit: at least 1; there must be a lease to take.
            seconds: how long a task of a name takes; one that is not in it travels alone.
        """
        first = self.take("process")
        estimate = seconds.get(first.name, CHUNK_SECONDS)
        if estimate >= SHORT_SECONDS:
            return [first]
        return [first, *self.take_short(limit - 1, CHUNK_SECONDS - estimate, seconds)]

    def take_short(
        self, limit: int, room_seconds: float, seconds: Mapping[str, float]
    ) -> list[Lease]:
        """Take leases of tasks that are known to be short, from the front, as far as they fit."""
        line = self._lines["process"]
        taken: list[Lease] = []
        for entry in islice(reversed(line), max(0, limit)):
            lease = entry[3]
            estimate = seconds.get(lease.name, CHUNK_SECONDS)
            room_seconds -= estimate
            if estimate >= SHORT_SECONDS or room_seconds < 0:
                break
            taken.append(lease)
        if taken:
            del line[-len(taken) :]
        return taken

    def first_name(self, kind: Kind) -> str:
        """The task name of the first lease of a kind that has one."""
        return self._lines[kind][-1][3].name

    def names(self) -> set[str]:
        """The names of all tasks that wait."""
        return {entry[3].name for line in self._lines.values() for entry in line}

    def remove(self, task_id: str, attempt: int) -> Lease | None:
        """Take a lease out of its place; None if it is not here."""
        for line in self._lines.values():
            for index, entry in enumerate(line):
                if entry[3].task_id == task_id and entry[3].attempt == attempt:
                    del line[index]
                    return entry[3]
        return None

    def take_last(self, kind: Kind, keep: int) -> list[Lease]:
        """Take all of a kind but the first `keep`."""
        line = self._lines[kind]
        rest = max(0, len(line) - keep)
        taken = [entry[3] for entry in reversed(line[:rest])]
        del line[:rest]
        return taken
