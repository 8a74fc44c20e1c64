"""The promises about times: expiry, retention and schedules."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import inf

from task_queue.history.bounds import Bounds
from task_queue.history.life import Life
from task_queue.history.life_rules import TERMINAL, Finding
from task_queue.history.record import Kind, Record


def run_after_expiry(lives: Mapping[str, Life], bounds: Bounds) -> Iterator[Finding]:
    """Nothing begins once its time is over."""
    for life in lives.values():
        expires = life.sent[0][1].expires if life.sent else None
        for _, record in life.started:
            if expires is not None and record.at > expires + bounds.expires_late_seconds:
                late = record.at - expires
                yield f"it began {late:.3f} s after its time", [life.sent[0][1], record]


def expired_early(lives: Mapping[str, Life], bounds: Bounds) -> Iterator[Finding]:
    """EXPIRED means that it has a time and that the time is over."""
    for life in lives.values():
        expires = life.sent[0][1].expires if life.sent else None
        for _, record in life.over:
            early = expires is None or (record.at < expires and bounds.expires_late_seconds < inf)
            if record.status == "EXPIRED" and early:
                yield "it is EXPIRED before its time", [*(sent for _, sent in life.sent), record]


def pruned_early(lives: Mapping[str, Life], bounds: Bounds) -> Iterator[Finding]:
    """Only what is over is deleted, and only when it was kept for as long as it has to be."""
    for life in lives.values():
        for _, record in life.pruned:
            if record.status not in TERMINAL:
                yield f"it was deleted while it was {record.status}", [record]
            elif record.seconds < bounds.kept_seconds:
                yield f"it was deleted {record.seconds:.3f} s after its end", [record]


def fired_twice(history: Sequence[Record]) -> Iterator[Finding]:
    """One due time, one task at most."""
    seen: dict[tuple[str, int], Record] = {}
    for record in history:
        if record.kind is Kind.FIRED:
            first = seen.setdefault((record.schedule, record.due), record)
            if first is not record:
                yield f"due time {record.due} fired twice", [first, record]


def fired_overlapping(history: Sequence[Record]) -> Iterator[Finding]:
    """A schedule that skips has one task at a time."""
    saved = (record for record in history if record.kind is Kind.SCHEDULE_SAVED)
    skips = {record.schedule for record in saved if record.overlap == "skip"}
    for record in history:
        is_over = record.status in ("", *TERMINAL)
        if record.kind is Kind.FIRED and record.schedule in skips and not is_over:
            yield f"it fired while its last task was {record.status}", [record]


def fired_after_deletion(history: Sequence[Record]) -> Iterator[Finding]:
    """A schedule that is gone fires no more."""
    deleted: dict[str, Record] = {}
    for record in history:
        if record.kind is Kind.SCHEDULE_DELETED:
            deleted[record.schedule] = record
        elif record.kind is Kind.FIRED and record.schedule in deleted:
            yield "it fired after its deletion", [deleted[record.schedule], record]


def not_fired(history: Sequence[Record], bounds: Bounds) -> Iterator[Finding]:
    """A schedule that allows overlap fires at each due time, be it late after an outage."""
    for records in _by_schedule(history).values():
        saved = next((r for r in records if r.kind is Kind.SCHEDULE_SAVED), None)
        if saved is None or saved.overlap != "allow":
            continue
        most = saved.seconds + bounds.fires_late_seconds
        signs = [saved, *(r for r in records if r.kind in (Kind.FIRED, Kind.SCHEDULE_ENDING))]
        signs.sort(key=lambda record: record.at)
        for before, after in pairwise(signs):
            if after.at - before.at > most:
                yield f"it did not fire for {after.at - before.at:.3f} s", [before, after]


def _by_schedule(history: Sequence[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    for record in history:
        if record.schedule:
            found[record.schedule].append(record)
    return found
