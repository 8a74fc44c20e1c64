"""What became of the spans of processes that come and go, summed in the scheduler."""

from msgspec import Struct

from task_queue.tracing.span_counts import SpanCounts

#: Far more than live at one time: workers come and go, and those that went tell nothing more.
_MOST_PROCESSES = 10_000


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
        self._started_at = started_at
        self._last: dict[str, SpanCounts] = {}
        self.sums = SpanCounts()

    def take(self, report: SpanReport) -> None:
        """Add what is new."""
        before = self._last.pop(report.process, None)
        if before is None:
            older = report.started_at < self._started_at
            before = report.counts if older else SpanCounts()
        self.sums.add(report.counts.since(before))
        self._last[report.process] = report.counts  # behind all others: it told last
        if len(self._last) > _MOST_PROCESSES:
            del self._last[next(iter(self._last))]
