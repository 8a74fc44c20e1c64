"""Percentiles of values that are not kept: counts by size, each size 4 % above the one before.

Two sketches add up to the sketch of all their values, whoever counted what. A percentile is at most
2 % off. What is below a microsecond counts as zero.
"""

import math
from collections import Counter
from collections.abc import Iterable

#: Size to how many values have it. The values of size n are between GROWTH**(n-1) and GROWTH**n.
Sketch = dict[int, int]

ERROR = 0.02  #: a percentile is at most this share of itself off
_GROWTH = (1 + ERROR) / (1 - ERROR)
_SIZES_PER_E = 1 / math.log(_GROWTH)
_SMALLEST = 1e-6
_ZERO = -(2**15)  #: the size of zero, below all others


def sketch_of(values: Iterable[float]) -> Sketch:
    """The sketch of values; negative ones count as zero."""
    log, ceil = math.log, math.ceil
    return dict(
        Counter(
            [ceil(log(v) * _SIZES_PER_E) if v >= _SMALLEST else _ZERO for v in values],
        )
    )


def add_sketch(to: Sketch, more: Sketch) -> None:
    """Count in `to` what `more` has, too."""
    for size, count in more.items():
        to[size] = to.get(size, 0) + count


def percentile(sketch: Sketch, percent: float) -> float | None:
    """Nearest rank: the smallest value that is not below `percent` per cent of the values, to
    within ERROR; None of no values."""
    rank = max(1, math.ceil(sum(sketch.values()) * percent / 100))
    for size in sorted(sketch):
        rank -= sketch[size]
        if rank <= 0:
            return 0.0 if size == _ZERO else 2 * _GROWTH**size / (_GROWTH + 1)
    return None
