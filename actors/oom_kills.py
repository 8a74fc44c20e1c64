"""Tells a process that the kernel killed for want of memory from one that somebody killed.

The signal is the same. But the kernel counts such kills by memory group (a container has one), and
the count has grown before the process is gone.
"""

from collections.abc import Iterator
from pathlib import Path

_GROUPS = Path("/proc/self/cgroup")
_ROOT = Path("/sys/fs/cgroup")
#: Of the whole machine: read where this process's own group cannot be.
_MACHINE = Path("/proc/vmstat")


class OomKills:
    """The kills of one memory group, each of which can be claimed for one process."""

    def __init__(self, file: Path | None) -> None:
        """
        Args:
            file: lines of a word and a number, `oom_kill` among them; None: there is no such file.
        """
        self._file = file
        self._seen = self._read() or 0

    def claim(self) -> bool | None:
        """Whether the kernel has killed since the last claim; None: it cannot be told."""
        count = self._read()
        if count is None:
            return None
        if count <= self._seen:
            return False
        self._seen += 1  # two that were killed together are two claims
        return True

    def _read(self) -> int | None:
        return _oom_kills(self._file) if self._file is not None else None


def own_oom_kills() -> OomKills:
    """Those of the memory group of this process and its children."""
    found = (file for file in _candidates(_GROUPS, _ROOT, _MACHINE) if _oom_kills(file) is not None)
    return OomKills(next(found, None))


def _candidates(groups: Path, root: Path, machine: Path) -> Iterator[Path]:
    """Files that may hold the count, the most exact one first."""
    try:
        lines = groups.read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, kinds, path = line.split(":", 2)
        here = path.lstrip("/")
        if not kinds:  # version 2: one tree for all kinds
            yield root / here / "memory.events"
        elif "memory" in kinds.split(","):
            yield root / "memory" / here / "memory.oom_control"
            yield root / "memory" / "memory.oom_control"  # a container sees its own group here
    yield machine


def _oom_kills(file: Path) -> int | None:
    try:
        words = [line.split() for line in file.read_text().splitlines()]
    except OSError:
        return None
    return next((int(w[1]) for w in words if len(w) == 2 and w[0] == "oom_kill"), None)
