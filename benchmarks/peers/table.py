"""The table that `make bench-peers` ends with."""

from collections.abc import Sequence

from benchmarks.peers.summary import Summary

_LINE = "{:<13} {:<7} {:<30} {:>9} {:>12} {:>15} {:>7} {:>7} {:>7}"
_HEAD = _LINE.format(
    "queue", "version", "durability", "enqueue/s", "end to end/s", "of the runs", "p50 ms",
    "p99 ms", "ours is",
)  # fmt: skip
_NOTES = """\
end to end   first enqueue to last completion; no-op tasks, one producer, two worker processes
of the runs  slowest and fastest end to end: far apart if something else kept the machine busy
p50, p99     submit to result at idle, one task at a time; -: the queue keeps no results
ours is      so many times as fast end to end
Redis        as it is shipped: snapshots 60 s or more apart, no AOF; a crash loses what came since
fsync        what was accepted survives a power cut
redelivered, failed, stalled, lost: what becomes of a task if its worker is killed"""


def table(ours: Summary, peers: Sequence[Summary]) -> str:
    """All queues, the fastest first, and what the columns mean."""
    fastest_first = sorted([ours, *peers], key=lambda one: one.done_per_second, reverse=True)
    return "\n".join([_HEAD, *(_row(one, ours) for one in fastest_first), "", _NOTES])


def _row(one: Summary, ours: Summary) -> str:
    return _LINE.format(
        one.queue,
        one.version,
        one.durability,
        f"{one.enqueued_per_second:,.0f}",
        f"{one.done_per_second:,.0f}",
        f"{one.slowest_run:,.0f}-{one.fastest_run:,.0f}",
        _milliseconds(one.p50_ms),
        _milliseconds(one.p99_ms),
        "" if one is ours else f"{ours.done_per_second / one.done_per_second:.1f} x",
    )


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
