"""The checker acquits a right history and catches each broken promise by its name."""

from collections.abc import Callable

import pytest

from task_queue.history import Bounds, Kind, Record, check_history

_BOUNDS = Bounds(
    read_ahead=1, expires_late_seconds=0.0, fires_late_seconds=1.0, kept_seconds=5.0
)  # fmt: skip
History = list[Record]


def _life(
    task: str, begin: float, *, start: float | None = None, priority: int = 5, key: str = ""
) -> History:
    """A task that simply runs."""
    start = begin + 2 if start is None else start
    result = f"{task}:1"
    return [
        Record(begin, Kind.SUBMIT_SENT, task, queue="q", priority=priority, key=key),
        Record(begin + 1, Kind.ACCEPTED, task, key=key),
        Record(start, Kind.STARTED, task, 1, "w1"),
        Record(start + 1, Kind.FINISHED, task, 1, "w1", result=result),
        Record(start + 2, Kind.OVER, task, status="COMPLETED", result=result),
    ]


def _rules(history: History) -> set[str]:
    ordered = sorted(history, key=lambda record: record.at)
    return {violation.rule for violation in check_history(ordered, _BOUNDS)}


def _again(at: float, attempt: int) -> Record:
    return Record(at, Kind.STARTED, "a", attempt, "w2")


def _crowd(priority: int = 5) -> History:
    """Tasks that were submitted after `a` was accepted and started before it."""
    early = [*_life("b", 2, start=4, priority=priority), *_life("c", 2, start=4.5,
             priority=priority)]  # fmt: skip
    return [*_life("a", 0, start=9), *early]


def test_a_right_history_is_acquitted() -> None:
    assert check_history([*_life("a", 0), *_life("b", 10), *_life("c", 20)], _BOUNDS) == []


def test_a_repeated_attempt_in_order_is_right() -> None:
    history = _life("a", 0)[:3]
    history += [
        _again(5, 2),
        Record(6, Kind.FINISHED, "a", 2, "w2", result="a:2"),
        Record(7, Kind.OVER, "a", status="COMPLETED", result="a:2"),
    ]
    assert _rules(history) == set()


def test_orders_may_be_inverted_as_far_as_the_bounds_say() -> None:
    history = sorted(_crowd(), key=lambda record: record.at)
    assert check_history(history, Bounds(read_ahead=2)) == []
    assert check_history(history, Bounds(read_ahead=1, held_seconds=5.0)) == []


def _timed(
    *, status: str, expires: float | None = None, retries: int = 0, failures: int = 0
) -> History:
    """A task with a time, or with failures."""
    sent = Record(0, Kind.SUBMIT_SENT, "a", queue="q", expires=expires, retries=retries)
    accepted, started, finished, over = _life("a", 0)[1:]
    if failures:
        finished = Record(finished.at, Kind.FINISHED, "a", 1, "w1")
    return [sent, accepted, started, finished, Record(over.at, Kind.OVER, "a", status=status)]


def _failed() -> History:
    """A task that may fail once, and did; told at 4."""
    return _timed(retries=0, status="FAILED", failures=1)


def _rerun(at: float, *, answered: bool = True) -> History:
    sent, granted = Record(at, Kind.RERUN_SENT, "a"), Record(at + 1, Kind.RERUN_ACKNOWLEDGED, "a")
    return [sent, granted] if answered else [sent]


def _ran(at: float, status: str) -> History:
    """The second attempt, to its end."""
    result = "a:2" if status == "COMPLETED" else ""
    return [
        _again(at, 2), Record(at + 1, Kind.FINISHED, "a", 2, "w2", result=result),
        Record(at + 2, Kind.OVER, "a", status=status, result=result),
    ]  # fmt: skip


def _paused(at: float) -> History:
    return [Record(at, Kind.QUEUE_PAUSED, queue="q")]


def _schedule(overlap: str) -> History:
    """One that is due every second."""
    return [Record(0, Kind.SCHEDULE_SAVED, schedule="s", overlap=overlap, seconds=1.0)]


def _fired(task: str, at: float, due: int, last: str = "") -> Record:
    return Record(at, Kind.FIRED, task, queue="q", schedule="s", due=due, status=last)


_PLANTED: dict[str, Callable[[], History]] = {
    "lost": lambda: _life("a", 0)[:4],
    "ended_twice": lambda: [*_life("a", 0), Record(9, Kind.OVER, "a", status="FAILED")],
    "finished_twice": lambda: [
        *_life("a", 0), Record(3.5, Kind.FINISHED, "a", 1, "w1", result="a:1"),
    ],
    "result_without_attempt": lambda: [*_life("a", 0)[:2], _life("a", 0)[4]],
    "stale_commit": lambda: [*_life("a", 0), _again(2.5, 2)],
    "attempt_order": lambda: [*_life("a", 0), _again(2.5, 1)],
    "finish_without_start": lambda: [r for r in _life("a", 0) if r.kind is not Kind.STARTED],
    "run_after_end": lambda: [*_life("a", 0), _again(9, 2)],
    "rerun_not_run": lambda: [*_failed(), *_rerun(9), Record(11, Kind.OVER, "a", status="FAILED")],
    "run_after_cancel": lambda: [
        *_life("a", 0), Record(1.5, Kind.CANCEL_ACKNOWLEDGED, "a", status="CANCELLED"),
    ],
    "run_unasked": lambda: _life("a", 0)[1:],
    "duplicate_key": lambda: [*_life("a", 0, key="k"), *_life("b", 10, key="k")],
    "priority_inverted": lambda: _crowd(priority=1),
    "fifo_inverted": _crowd,
    "failed_too_soon": lambda: _timed(retries=1, status="FAILED", failures=1),
    "run_while_paused": lambda: [
        *_paused(0), *_life("a", 1), Record(4, Kind.QUEUE_RESUMED, queue="q"),
    ],
    "run_while_draining": lambda: [
        Record(0, Kind.WORKER_DRAINING, worker="w1"), *_life("a", 1),
    ],
    "run_after_expiry": lambda: _timed(expires=1.5, status="COMPLETED"),
    "expired_early": lambda: _timed(expires=9, status="EXPIRED"),
    "pruned_early": lambda: [
        *_life("a", 0), Record(9, Kind.PRUNED, "a", status="COMPLETED", seconds=4.9),
    ],
    "fired_twice": lambda: [*_schedule("allow"), _fired("a", 1, 0), _fired("b", 1.5, 0)],
    "fired_overlapping": lambda: [*_schedule("skip"), _fired("a", 1, 0, last="RUNNING")],
    "fired_after_deletion": lambda: [
        *_schedule("allow"), Record(2, Kind.SCHEDULE_DELETED, schedule="s"), _fired("a", 3, 1),
    ],
    "not_fired": lambda: [*_schedule("allow"), _fired("a", 3.1, 1)],
}  # fmt: skip


@pytest.mark.parametrize("rule", list(_PLANTED))
def test_a_broken_promise_is_caught(rule: str) -> None:
    assert rule in _rules(_PLANTED[rule]())


def test_a_verdict_names_the_records_that_prove_it() -> None:
    history = _life("a", 0)[:4]
    (violation,) = check_history(history, _BOUNDS)
    assert (violation.task_id, violation.proof) == ("a", [history[1]])
    assert "never ended" in str(violation)


def test_what_was_leased_before_a_pause_or_a_drain_may_begin_once() -> None:
    history = _life("a", 0)
    stops = [*_paused(1.5), Record(1.6, Kind.WORKER_DRAINING, worker="w1")]
    assert _rules([*history, *stops]) == set()
    assert _rules([*history, *_life("b", 0), *stops]) == {"run_while_paused", "run_while_draining"}
    assert "run_while_paused" in _rules([*history[:3], _again(3, 2), *stops])


def test_a_schedule_that_fires_at_its_times_is_right() -> None:
    fired = [
        _fired("a", 1, 0), Record(2, Kind.OVER, "a", status="CANCELLED"),
        _fired("b", 3, 2, last="CANCELLED"), Record(4, Kind.OVER, "b", status="CANCELLED"),
    ]  # fmt: skip
    end = Record(5, Kind.SCHEDULE_ENDING, schedule="s")
    for overlap in ("skip", "allow"):
        assert _rules([*_schedule(overlap), *fired, end]) == set()


def test_a_key_is_free_again_when_its_task_was_pruned() -> None:
    pruned = Record(9, Kind.PRUNED, "a", status="COMPLETED", seconds=5.0)
    assert _rules([*_life("a", 0, key="k"), pruned, *_life("b", 10, key="k")]) == set()


@pytest.mark.parametrize(
    ("status", "broken"), [("QUEUED", True), ("RETRYING", True), ("RUNNING", False)]
)
def test_a_cancel_binds_if_the_task_waited(status: str, broken: bool) -> None:
    """Of a task that runs, the worker is told, and the task may end before that is heard."""
    cancel = Record(1.5, Kind.CANCEL_ACKNOWLEDGED, "a", status=status)
    assert ("run_after_cancel" in _rules([*_life("a", 0), cancel])) is broken


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("status", ["COMPLETED", "FAILED"])
def test_what_is_run_again_by_hand_may_have_another_end(status: str, answered: bool) -> None:
    assert _rules([*_failed(), *_rerun(9, answered=answered), *_ran(11, status)]) == set()


def test_a_rerun_that_was_not_answered_may_not_have_been_carried_out() -> None:
    told_again = Record(11, Kind.OVER, "a", status="FAILED")
    assert _rules([*_failed(), *_rerun(9, answered=False), told_again]) == set()
    late = [*_failed(), *_rerun(9, answered=False), told_again, *_ran(12, "COMPLETED")]
    assert _rules(late) == set()


def test_one_rerun_makes_one_more_run() -> None:
    again = [*_failed(), *_rerun(9), *_ran(11, "FAILED")]
    assert "run_after_end" in _rules([*again, _again(14, 3)])
    assert "run_after_end" in _rules([*_failed(), _again(8, 2), *_rerun(9)])
    third = Record(14, Kind.OVER, "a", status="CANCELLED")
    assert "ended_twice" in _rules([*_failed(), *_rerun(9), *_ran(11, "COMPLETED"), third])


def test_what_is_to_run_again_has_to_end_again() -> None:
    assert _rules([*_failed(), *_rerun(9)]) == {"lost"}


def test_failures_are_counted_anew_in_each_run() -> None:
    """One that lost its worker in its second run has not failed there."""
    end = Record(13, Kind.OVER, "a", status="FAILED")
    assert "failed_too_soon" in _rules([*_failed(), *_rerun(9), _again(11, 2), end])


def test_a_cancel_binds_until_the_task_is_run_again() -> None:
    cancelled = [
        *_life("a", 0)[:2], Record(2, Kind.CANCEL_ACKNOWLEDGED, "a", status="CANCELLED"),
        Record(3, Kind.OVER, "a", status="CANCELLED"),
    ]  # fmt: skip
    assert _rules([*cancelled, *_rerun(4), *_ran(6, "COMPLETED")]) == set()
    early = [*cancelled, _again(3.5, 1), *_rerun(4), *_ran(6, "COMPLETED")]
    assert "run_after_cancel" in _rules(early)
    once_more = [
        *_rerun(4), Record(6, Kind.CANCEL_ACKNOWLEDGED, "a", status="CANCELLED"),
        Record(7, Kind.OVER, "a", status="CANCELLED"),
    ]  # fmt: skip
    assert _rules([*cancelled, *once_more]) == set()
