"""A histogram that can be added to, sent, and told from an earlier reading of itself."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from msgspec import Struct, field

#: Seconds, from a no-op to the longest jobs. Few, so that finding one costs next to nothing.
LATENCY_BOUNDS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    300.0, 1_800.0,
)  # fmt: skip


class Exemplar(Struct, frozen=True):
    """One observation whose trace can be looked at."""

    trace_id: str
    value: float
    at: float  #: seconds since the epoch


class Histogram(Struct):
    """Observations by bucket: the last count is of those beyond all of LATENCY_BOUNDS."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS) + 1))
    total: float = 0.0  #: of all observations
    exemplars: dict[int, Exemplar] = field(default_factory=dict)  #: the newest, by bucket

    def add(self, value: float) -> None:
        """Count an observation."""
        self.counts[bisect_left(LATENCY_BOUNDS, value)] += 1
        self.total += value

    def add_all(self, values: list[float]) -> None:
        """Count many at once, for a fifth of the price of `add`; `values` is sorted in place.

        What is below zero counts as zero: clocks of two machines may differ a little.
        """
        values.sort()
        before = 0
        for bucket, bound in enumerate(LATENCY_BOUNDS):
            up_to = bisect_right(values, bound, before)
            self.counts[bucket] += up_to - before
            before = up_to
            if before == len(values):
                break
        self.counts[-1] += len(values) - before
        self.total += sum(values[bisect_left(values, 0.0) :])

    def show(self, exemplar: Exemplar) -> None:
        """Make an observation the exemplar of its bucket."""
        self.exemplars[bisect_left(LATENCY_BOUNDS, exemplar.value)] = exemplar

    def copy(self) -> "Histogram":
        """As it is now; it does not grow with the other."""
        return Histogram(list(self.counts), self.total, dict(self.exemplars))

    def since(self, earlier: "Histogram") -> "Histogram":
        """What was added after an earlier reading of the same histogram."""
        counts = [new - old for new, old in zip(self.counts, earlier.counts, strict=True)]
        return Histogram(counts, self.total - earlier.total, dict(self.exemplars))


def sum_of(histograms: Iterable[Histogram]) -> Histogram:
    """All in one, each bucket with its newest exemplar."""
    result = Histogram()
    for histogram in histograms:
        result.counts = [a + b for a, b in zip(result.counts, histogram.counts, strict=True)]
        result.total += histogram.total
        for bucket, exemplar in histogram.exemplars.items():
            known = result.exemplars.get(bucket)
            if known is None or known.at < exemplar.at:
                result.exemplars[bucket] = exemplar
    return result
