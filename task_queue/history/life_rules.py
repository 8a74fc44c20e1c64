"""The promises about one task at a time. Each rule yields (message, proof) for what breaks it."""

from collections.abc import Callable, Iterator
from math import inf

from task_queue.history.life import Life, Placed
from task_queue.history.record import Record

Finding = tuple[str, list[Record]]

TERMINAL = ("COMPLETED", "FAILED", "CANCELLED", "EXPIRED")
_WAITS = ("QUEUED", "SCHEDULED", "RETRYING", "BLOCKED")


def lost(life: Life) -> Iterator[Finding]:
    """Accepted, and the history ends without its end."""
    taken = [*life.accepted, *life.fired]
    if taken and not life.over:
        yield "it was accepted and never ended", [taken[0][1]]
    elif life.granted and life.over[-1][0] < life.granted[-1][0]:
        yield "it was to run again and never ended", [life.granted[-1][1]]


def ended_twice(life: Life) -> Iterator[Finding]:
    """It has one end, and the same one whoever asks and whenever; each rerun may make another."""
    changes = 0
    for (_, first), (place, later) in zip(life.over, life.over[1:], strict=False):
        if (first.status, first.result) != (later.status, later.result):
            changes += 1
            if changes > life.reruns_before(place):
                yield f"it ended as {first.status} and then as {later.status}", [first, later]
    for _, record in life.over:
        if record.status not in TERMINAL:
            yield f"'{record.status}' is no end", [record]


def finished_twice(life: Life) -> Iterator[Finding]:
    """One attempt comes to its end once."""
    seen: dict[int, Record] = {}
    for _, record in life.finished:
        if record.attempt in seen:
            yield f"attempt {record.attempt} finished twice", [seen[record.attempt], record]
        seen[record.attempt] = record


def result_without_attempt(life: Life) -> Iterator[Finding]:
    """COMPLETED means that an attempt finished before, with that result."""
    for place, over in _completed(life):
        before = [r for at, r in life.finished if at < place]
        if not any(record.result == over.result for record in before):
            yield "it is COMPLETED with a result that no attempt had returned", [*before, over]


def stale_commit(life: Life) -> Iterator[Finding]:
    """The result is that of the newest attempt that began: a newer claim voids the older one."""
    for place, over in _completed(life):
        returned = [r.attempt for at, r in life.finished if at < place and r.result == over.result]
        newest = max(life.started, key=lambda placed: placed[1].attempt, default=None)
        if returned and newest is not None and newest[1].attempt > max(returned):
            message = f"attempt {max(returned)} was taken though {newest[1].attempt} had its lease"
            yield message, [newest[1], over]


def attempt_order(life: Life) -> Iterator[Finding]:
    """No attempt begins after a newer one began, and none begins twice."""
    newest: Record | None = None
    for _, record in life.started:
        if newest is not None and record.attempt <= newest.attempt:
            yield f"attempt {record.attempt} began after {newest.attempt}", [newest, record]
        else:
            newest = record


def finish_without_start(life: Life) -> Iterator[Finding]:
    """What finished began before."""
    for place, record in life.finished:
        if not any(r.attempt == record.attempt for at, r in life.started if at < place):
            yield f"attempt {record.attempt} finished and never began", [record]


def run_after_end(life: Life) -> Iterator[Finding]:
    """Nothing starts once the end was told; each rerun lets it begin once more, until it ends."""
    ends = iter(life.over)
    end, told, resumed = next(ends, None), None, 0
    for place, record in life.started:
        begins_anew = False
        while end is not None and end[0] < place:
            begins_anew, told, end = True, end[1], next(ends, None)
        resumed += begins_anew
        if told is not None and resumed > life.reruns_before(place):
            yield "it began after its end was told", [told, record]


def rerun_not_run(life: Life) -> Iterator[Finding]:
    """What is to run again does not end before it began, unless it was cancelled or too late."""
    for place, granted in life.granted:
        asked = max((at for at, _ in life.reruns if at < place), default=-1)
        until, end = next((over for over in life.over if over[0] > place), (0, None))
        if end is None or any(asked < at < until for at, _ in life.started):
            continue
        cancelled = end.status == "CANCELLED" and any(asked < at for at, _ in life.cancels)
        if not cancelled and end.status != "EXPIRED":
            yield "it was to run again and ended without having begun", [granted, end]


def run_after_cancel(life: Life) -> Iterator[Finding]:
    """Nothing starts after a cancel was acknowledged of a task that waited; that is its end.

    A cancel of one that runs promises less: its worker is told. It may end before it hears that.
    """
    cancelled = [placed for placed in life.cancels if placed[1].status in ("CANCELLED", *_WAITS)]
    for place, cancel in cancelled[:1]:
        again = next((at for at, _ in life.reruns if at > place), inf)
        for at, record in life.started:
            if place < at < again:
                yield "it began after its cancel was acknowledged", [cancel, record]
        for at, over in life.over:
            if over.status != "CANCELLED" and at < again:
                yield f"its cancel was acknowledged and it is {over.status}", [cancel, over]


def run_unasked(life: Life) -> Iterator[Finding]:
    """What starts was submitted before."""
    for place, record in life.started:
        if not any(at < place for at, _ in (*life.sent, *life.fired)):
            yield "it began and nobody had submitted it", [record]


def failed_too_soon(life: Life) -> Iterator[Finding]:
    """FAILED means that the task failed as often as it may: a worker that ends costs no attempt."""
    for place, over in life.over:
        if over.status != "FAILED" or not life.sent or life.sent[0][1].retries is None:
            continue
        since = life.granted_before(place)  # it counts anew in each run
        failed = [r for at, r in life.finished if since < at < place and not r.result]
        if len(failed) <= life.sent[0][1].retries:
            yield f"it is FAILED after {len(failed)} failures", [life.sent[0][1], *failed, over]


LIFE_RULES: dict[str, Callable[[Life], Iterator[Finding]]] = {
    "lost": lost,
    "ended_twice": ended_twice,
    "finished_twice": finished_twice,
    "result_without_attempt": result_without_attempt,
    "stale_commit": stale_commit,
    "attempt_order": attempt_order,
    "finish_without_start": finish_without_start,
    "run_after_end": run_after_end,
    "rerun_not_run": rerun_not_run,
    "run_after_cancel": run_after_cancel,
    "run_unasked": run_unasked,
    "failed_too_soon": failed_too_soon,
}


def _completed(life: Life) -> list[Placed]:
    return [placed for placed in life.over if placed[1].status == "COMPLETED"]
