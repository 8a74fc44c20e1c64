"""What this API process counts of itself, for the sums over all replicas."""

from collections.abc import Iterable

from msgspec import Struct, field

from serve_app.readers import Readers
from task_queue.clock import Clock
from task_queue.histogram import Histogram
from task_queue.ids import new_task_id
from task_queue.replica_book import ReplicaCounts, ReplicaReport
from task_queue.tracing.span_counts import SpanCounts


class ReplicaFigures(Struct):
    """Growing counts since this process began; the edge and the readers add to them."""

    replica: str  #: new with every process
    started_at: float  #: seconds since the epoch
    answers: dict[str, int] = field(default_factory=dict)  #: by HTTP status
    routes: dict[str, Histogram] = field(default_factory=dict)  #: seconds to the answer's head

    @classmethod
    def begun(cls, clock: Clock) -> "ReplicaFigures":
        """Those of a process that starts now."""
        now = clock.now()
        return cls(new_task_id(now), now)

    def expect(self, statuses: Iterable[int], routes: Iterable[str]) -> None:
        """Count these from zero: else `rate()` would miss the first answers of each."""
        for status in statuses:
            self.answers.setdefault(str(status), 0)
        for route in routes:
            self.routes.setdefault(route, Histogram())

    def count(self, status: int) -> None:
        """Count an answer to a caller."""
        key = str(status)
        self.answers[key] = self.answers.get(key, 0) + 1

    def time(self, route: str, seconds: float) -> None:
        """Note how long an answer took; `route` is a path as it is declared, not as asked."""
        histogram = self.routes.get(route)
        if histogram is None:
            histogram = self.routes[route] = Histogram()
        histogram.add(seconds)

    def report(self, readers: Readers, spans: SpanCounts) -> ReplicaReport:
        """What the scheduler is told."""
        active, _ = readers.connections()
        # Copies: whoever keeps this report must not see it grow.
        routes = {route: seconds.copy() for route, seconds in self.routes.items()}
        counts = ReplicaCounts(
            dict(self.answers), routes, readers.query_seconds(), spans.since(SpanCounts())
        )
        return ReplicaReport(
            self.replica, self.started_at, counts, active, max(0, readers.most - active)
        )
