"""Which queues are counted by name.

Counts are kept for ever, and callers make queue names up where a pool serves "*". So a bounded
number of names is counted, and all that come later are counted together.
"""

from collections.abc import Iterable

from task_queue.core.effects import OTHER_QUEUES, TallyKind


class TallyNames:
    """The names that have counts of their own."""

    def __init__(self, names: Iterable[str], most: int) -> None:
        """
        Args:
            names: those that have counts already.
            most: so many names in all, at most.
        """
        self._names = set(names)
        self._most = most

    def bound(self, tallies: dict[tuple[str, str, TallyKind], int]) -> None:
        """Put what was counted under a name too many under one for all such."""
        for key in [key for key in tallies if not self._has(key[0])]:
            count = tallies.pop(key)
            other = (OTHER_QUEUES, *key[1:])
            tallies[other] = tallies.get(other, 0) + count

    def _has(self, queue: str) -> bool:
        if queue not in self._names and len(self._names) < self._most:
            self._names.add(queue)
        return queue in self._names
