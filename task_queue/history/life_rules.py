"""The promises about one task at a time. Each rule yields (message, proof) for what breaks it."""

from collections.abc import Callable, Iterator

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


def ended_twice(life: Life) -> Iterator[Finding]:
    """It has one end, and the same one whoever asks and whenever."""
    for (_, first), (_, later) in zip(life.over, life.over[1:], strict=False):
        if (first.status, first.result) != (later.status, later.result):
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
    """Nothing starts once the end was told."""
    if life.over:
        yield from _starts_after(life, life.over[0], "it began after its end was told")


def run_after_cancel(life: Life) -> Iterator[Finding]:
    """Nothing starts after a cancel was acknowledged of a task that waited; that is its end.

    A cancel of one that runs promises less: its worker is told. It may end before it hears that.
    """
    cancelled = [placed for placed in life.cancels if placed[1].status in ("CANCELLED", *_WAITS)]
    if cancelled:
        yield from _starts_after(life, cancelled[0], "it began after its cancel was acknowledged")
        for _, over in life.over:
            if over.status != "CANCELLED":
                yield f"its cancel was acknowledged and it is {over.status}", [
                    cancelled[0][1], over,
                ]  # fmt: skip


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
        failed = [record for at, record in life.finished if at < place and not record.result]
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
    "run_after_cancel": run_after_cancel,
    "run_unasked": run_unasked,
    "failed_too_soon": failed_too_soon,
}


def _completed(life: Life) -> list[Placed]:
    return [placed for placed in life.over if placed[1].status == "COMPLETED"]


def _starts_after(life: Life, end: Placed, message: str) -> Iterator[Finding]:
    for place, record in life.started:
        if place > end[0]:
            yield message, [end[1], record]
