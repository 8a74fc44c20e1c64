"""What became of the spans of processes that come and go, summed in the scheduler."""

from math import inf, nextafter

from msgspec import Struct

from task_queue.tracing.span_counts import SpanCounts

#: Processes of which the last report is kept: those that were heard of last.
_MOST_PROCESSES = 5_000


class SpanReport(Struct):
    """What one process tells again and again."""

    process: str  #: new with every process
    started_at: float  #: seconds since the epoch
    counts: SpanCounts  #: since then


class SpanBook:
    """Sums. As of replicas: a process that is older than this scheduler told its first counts to an
    earlier one, and they are where counting begins.

    Args:
        started_at: when counting began here, in seconds since the epoch.
    """

    def __init__(self, started_at: float) -> None:
        self._counted_from = started_at
        self._last: dict[str, SpanReport] = {}
        self.sums = SpanCounts()

    def take(self, report: SpanReport) -> None:
        """Add what is new."""
        known = self._last.get(report.process)
        if known is not None:
            before = known.counts
        else:
            older = report.started_at < self._counted_from
            before = report.counts if older else SpanCounts()
        self.sums.add(report.counts.since(before))
        self._last.pop(report.process, None)
        self._last[report.process] = report
        if len(self._last) > _MOST_PROCESSES:
            forgotten = self._last.pop(next(iter(self._last)))
            # If it is heard of again, its counts must not be added a second time.
            self._counted_from = max(self._counted_from, nextafter(forgotten.started_at, inf))
