"""Sequence numbers as ranges: those of one turn mostly follow each other."""

from collections.abc import Iterable


def ranges_of(seqs: Iterable[int]) -> list[tuple[int, int]]:
    """(first, last) of each run of numbers without a gap, in order. No number comes twice."""
    ordered = sorted(seqs)
    if not ordered:
        return []
    if ordered[-1] - ordered[0] == len(ordered) - 1:
        return [(ordered[0], ordered[-1])]
    ranges = []
    first = last = ordered[0]
    for seq in ordered[1:]:
        if seq != last + 1:
            ranges.append((first, last))
            first = seq
        last = seq
    return [*ranges, (first, last)]
