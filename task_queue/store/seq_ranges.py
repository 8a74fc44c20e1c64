"""Sequence numbers as ranges: those of one turn mostly follow each other."""

from collections.abc import Iterable

from task_queue.core.task import Task


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


def line_ranges_of(tasks: Iterable[Task]) -> list[tuple[str, int, int, int]]:
    """(queue, priority, first, last) of each run of tasks of one line without a gap.

    Args:
        tasks: in the order of seq as far as they are of one line.
    """
    ranges: list[tuple[str, int, int, int]] = []
    queue, priority, first, last = "", -1, 0, -1
    for task in tasks:
        spec, seq = task.spec, task.seq
        if seq != last + 1 or spec.priority != priority or spec.queue != queue:
            if last >= first:
                ranges.append((queue, priority, first, last))
            queue, priority, first = spec.queue, spec.priority, seq
        last = seq
    if last >= first:
        ranges.append((queue, priority, first, last))
    return ranges
