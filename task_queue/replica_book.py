"""What the replicas of the API counted, summed where every replica can read it.

A replica tells its whole counts again and again; what is new since its last word is added. A
replica that is older than this scheduler has told its first counts to an earlier one: they are
where counting begins. So a sum starts at zero with the scheduler and never falls, which is what
`rate()` expects, and the counts of a replica that died stay in it.
"""

from math import inf, nextafter

from msgspec import Struct, field

from task_queue.histogram import Histogram, sum_of
from task_queue.tracing.span_counts import SpanCounts

#: A replica that has told nothing for so long has no connections any more.
_GONE_SECONDS = 30.0
#: Replicas of which the last report is kept: those that were heard of last.
_MOST_REPLICAS = 1_000


class ReplicaCounts(Struct):
    """Growing counts of one API process since it began."""

    answers: dict[str, int] = field(default_factory=dict)  #: by HTTP status
    routes: dict[str, Histogram] = field(default_factory=dict)  #: seconds to the answer's head
    query_seconds: Histogram = field(default_factory=Histogram)  #: questions to the store
    spans: SpanCounts = field(default_factory=SpanCounts)


class ReplicaReport(Struct):
    """What one API process tells of itself."""

    replica: str  #: new with every process
    started_at: float  #: seconds since the epoch
    counts: ReplicaCounts
    connections_in_use: int
    connections_available: int


class ReplicaBook:
    """Sums of all replicas.

    Args:
        started_at: when counting began here, in seconds since the epoch.
    """

    def __init__(self, started_at: float) -> None:
        self._counted_from = started_at
        self._last: dict[str, tuple[float, ReplicaReport]] = {}
        self.sums = ReplicaCounts()

    def take(self, report: ReplicaReport, now: float) -> None:
        """Add what is new; a report that was delayed and is older than the last adds nothing."""
        known = self._last.get(report.replica)
        if known is not None:
            before = known[1].counts
        elif report.started_at < self._counted_from:
            before = report.counts
        else:
            before = ReplicaCounts()
        if sum(report.counts.answers.values()) < sum(before.answers.values()):
            return
        self._add(report.counts, before)
        self._last.pop(report.replica, None)
        self._last[report.replica] = (now, report)
        if len(self._last) > _MOST_REPLICAS:
            _, forgotten = self._last.pop(next(iter(self._last)))
            # If it is heard of again, its counts must not be added a second time.
            self._counted_from = max(self._counted_from, nextafter(forgotten.started_at, inf))

    def connections(self, now: float) -> tuple[int, int]:
        """(in use, available) of the replicas that were heard of lately."""
        fresh = [told for at, told in self._last.values() if now - at < _GONE_SECONDS]
        return (
            sum(told.connections_in_use for told in fresh),
            sum(told.connections_available for told in fresh),
        )

    def _add(self, counts: ReplicaCounts, before: ReplicaCounts) -> None:
        sums = self.sums
        for status, count in counts.answers.items():
            new = count - before.answers.get(status, 0)
            sums.answers[status] = sums.answers.get(status, 0) + new
        for route, histogram in counts.routes.items():
            known = sums.routes.setdefault(route, Histogram())
            earlier = before.routes.get(route, Histogram())
            if histogram.counts != earlier.counts:  # most routes are not asked for all the time
                sums.routes[route] = sum_of((known, histogram.since(earlier)))
        new_queries = counts.query_seconds.since(before.query_seconds)
        sums.query_seconds = sum_of((sums.query_seconds, new_queries))
        sums.spans.add(counts.spans.since(before.spans))
