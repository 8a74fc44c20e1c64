"""How many tasks a minute: differences of growing counts, without asking the store much.

Every look at the counts is noted. A rate over a window is the difference between the newest note
and the note of about one window earlier. Right after the start there is no such note; then the
store is asked what happened in the window, once, and its answer is noted as if somebody had looked
at that time.
"""

from collections import deque
from collections.abc import Iterable

from msgspec import Struct

from task_queue.store.protocol import Reader
from task_queue.store.query import Tally, TaskQuery
from task_queue.store.trends import read_trends

WINDOWS_SECONDS = (60.0, 300.0)
_TOLERANCE = 1.5  #: a note this much older than the window still stands for it
_NOTES_APART_SECONDS = 1.0
_PAGE = 10_000


class Totals(Struct, frozen=True):
    """Growing counts, over all queues and tasks."""

    submitted: int = 0
    completed: int = 0
    failed: int = 0
    retried: int = 0
    timed_out: int = 0
    cancelled: int = 0
    expired: int = 0
    died: int = 0


class Rates(Struct):
    """Tasks a minute over about one window."""

    over_seconds: float  #: the time that was really looked at
    submitted_per_minute: float
    completed_per_minute: float
    failed_per_minute: float


class _Note(Struct, frozen=True):
    at: float
    submitted: int
    completed: int
    failed: int


class RateBook:
    """Notes of the last minutes."""

    def __init__(self) -> None:
        self._notes: deque[_Note] = deque()

    def note(self, at: float, totals: Totals) -> None:
        """Note the counts at a time, in seconds since the epoch; times must not run backwards."""
        newest = self._notes[-1] if self._notes else None
        if newest is None or at - newest.at >= _NOTES_APART_SECONDS:
            self._notes.append(_Note(at, totals.submitted, totals.completed, totals.failed))
        oldest_useful = at - _TOLERANCE * WINDOWS_SECONDS[-1]
        while self._notes and self._notes[0].at < oldest_useful:
            self._notes.popleft()

    def covers(self, now: float) -> bool:
        """Whether there is a note for every window."""
        return all(self._before(now, window) is not None for window in WINDOWS_SECONDS)

    def fill(self, now: float, totals: Totals, notes: Iterable["Recent"]) -> None:
        """Note what the store says about the windows before `now`, and forget the rest."""
        self._notes.clear()
        for recent in sorted(notes, key=lambda recent: -recent.window_seconds):
            self._notes.append(
                _Note(
                    now - recent.window_seconds,
                    totals.submitted - recent.submitted,
                    totals.completed - recent.completed,
                    totals.failed - recent.failed,
                )
            )
        self.note(now, totals)

    def rates(self, now: float, totals: Totals, window_seconds: float) -> Rates | None:
        """The rates up to `now`; None if there is no note for the window."""
        before = self._before(now, window_seconds)
        if before is None:
            return None
        seconds = now - before.at
        return Rates(
            seconds,
            *(
                round(max(0, new - old) * 60.0 / seconds, 3)
                for new, old in (
                    (totals.submitted, before.submitted),
                    (totals.completed, before.completed),
                    (totals.failed, before.failed),
                )
            ),
        )

    def _before(self, now: float, window_seconds: float) -> _Note | None:
        """The newest note that is at least one window old, if it is not much older."""
        oldest = now - _TOLERANCE * window_seconds
        fitting = [n for n in self._notes if oldest <= n.at <= now - window_seconds]
        return fitting[-1] if fitting else None


class Recent(Struct, frozen=True):
    """What happened in the last `window_seconds`."""

    window_seconds: float
    submitted: int
    completed: int
    failed: int


def totals_of(tallies: Iterable[Tally]) -> Totals:
    """The sums of the tallies by kind."""
    sums: dict[str, int] = {}
    for tally in tallies:
        sums[tally.kind] = sums.get(tally.kind, 0) + tally.count
    return Totals(**{kind: sums.get(kind, 0) for kind in Totals.__struct_fields__})


def read_recent(reader: Reader, now: float) -> list[Recent]:
    """What the store says about each window. The cost grows with what ended in the longest."""
    longest, step = WINDOWS_SECONDS[-1], WINDOWS_SECONDS[0]
    # Up to a moment after now: what ended in this very instant has happened too.
    buckets = read_trends(reader, now - longest, now + step, step).buckets
    recents = []
    for window in WINDOWS_SECONDS:
        inside = [b for b in buckets if b.start > now - window - step / 2]  # starts are rounded
        recents.append(
            Recent(
                window,
                _accepted_since(reader, now - window),
                sum(b.completed for b in inside),
                sum(b.failed for b in inside),
            )
        )
    return recents


def _accepted_since(reader: Reader, since: float) -> int:
    """How many tasks were accepted since a time: seqs are given out one by one."""
    newest = reader.search(TaskQuery(), 1)
    if not newest:
        return 0
    older = reader.search(TaskQuery(submitted_to=since), 1)
    if older:
        return newest[0].seq - older[0].seq
    if reader.search(TaskQuery(before_seq=2), 1):  # the very first task is there, and it is recent
        return newest[0].seq
    count, before = 0, newest[0].seq + 1
    while page := reader.search(TaskQuery(submitted_from=since, before_seq=before), _PAGE):
        count += len(page)
        before = page[-1].seq
    return count
