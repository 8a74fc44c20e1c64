"""Every legal move is in the table, and no other move is possible."""

import pickle
from collections.abc import Callable

import msgspec
import pytest

from task_queue.core.attempts import Attempts
from task_queue.core.effects import Effects
from task_queue.core.settings import Rules
from task_queue.core.status import TERMINAL, Happening, Outcome, Status
from task_queue.core.task import Report, Task, TaskError
from task_queue.core.task_book import TaskBook
from task_queue.core.transitions import TRANSITIONS, IllegalTransition, next_status
from task_queue.testing import task_spec

_ILLEGAL = [(s, h) for s in Status for h in Happening if (s, h) not in TRANSITIONS]
_REPORT = Report("t", 1, Outcome.FAILED, 1.0, 1.0)

#: How the book makes the moves that others ask it for. It moves by time only what waits for it.
_MOVES: dict[Happening, Callable[[TaskBook, Task, Effects], None]] = {
    Happening.CLAIM: lambda book, task, fx: _attempts(book).claim([task], "w", 5.0, fx),
    Happening.SUCCEED: lambda book, task, fx: _attempts(book).succeed([(task, _REPORT)], 5.0, fx),
    Happening.FAIL_RETRYABLE: lambda book, task, fx: _attempts(book).survive_death(
        task, TaskError("ExecutorDied", ""), 9, 5.0, fx
    ),
    Happening.FAIL_FINAL: lambda book, task, fx: _attempts(book).fail(task, _REPORT, 5.0, fx),
    Happening.RELEASE: lambda book, task, fx: _attempts(book).release(task, 5.0, fx),
    Happening.CANCEL: lambda book, task, fx: book.cancel(task, 5.0, fx),
    Happening.REPLAY: lambda book, task, fx: book.replay(task, 5.0, fx),
}


def _attempts(book: TaskBook) -> Attempts:
    return Attempts(book, lambda: 0.0)


def _task_in(status: Status) -> tuple[TaskBook, Task]:
    book = TaskBook(2, Rules())
    task = Task(task_spec(), 1, 1.0, status, due_at=9.0)
    if status not in TERMINAL:
        book.place(task, task.seq)
    return book, task


def _where(book: TaskBook) -> tuple[object, ...]:
    lines = {queue: list(line.waiting) for queue, line in book.lines.items()}
    return dict(book.live), lines, dict(book.delayed)


@pytest.mark.parametrize(("status", "happening"), _ILLEGAL, ids=str)
def test_an_illegal_move_raises_and_moves_nothing(status: Status, happening: Happening) -> None:
    with pytest.raises(IllegalTransition, match=f"task t is {status}: cannot {happening.value}"):
        next_status("t", status, happening)
    if happening in _MOVES:
        book, task = _task_in(status)
        before = _where(book)
        fx = Effects()
        with pytest.raises(IllegalTransition):
            _MOVES[happening](book, task, fx)
        assert task.status is status
        assert _where(book) == before
        assert fx.over == []


@pytest.mark.parametrize(("status", "happening"), list(TRANSITIONS), ids=str)
def test_a_legal_move_leads_where_the_table_says(status: Status, happening: Happening) -> None:
    book, task = _task_in(status)
    fx = Effects()
    if happening in _MOVES:
        _MOVES[happening](book, task, fx)
    else:
        task.expires_at = 9.0 if happening is Happening.EXPIRE else None
        book = TaskBook(2, Rules())
        book.place(task, task.seq)
        book.pass_time(9.0, fx)
    assert task.status is TRANSITIONS[status, happening]
    assert (task in fx.over) == (task.status in TERMINAL)
    assert (task.spec.id in book.live) == (task.status not in TERMINAL)
    assert fx.changes.touched == {1: task}


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
def test_what_does_not_wait_for_a_time_is_not_moved_by_it(status: Status) -> None:
    book, task = _task_in(status)
    before = msgspec.msgpack.encode(task)
    book.pass_time(1e12, Effects())
    assert msgspec.msgpack.encode(task) == before


def test_a_running_task_is_not_moved_by_its_expiry() -> None:
    book = TaskBook(2, Rules())
    task = Task(task_spec(), 1, 1.0, Status.RUNNING, expires_at=5.0)
    book.place(task, task.seq)
    book.pass_time(1e12, Effects())
    assert task.status is Status.RUNNING


def test_only_a_person_moves_what_is_over() -> None:
    for (status, happening), after in TRANSITIONS.items():
        assert (status in TERMINAL) == (happening is Happening.REPLAY)
        if happening is Happening.REPLAY:
            assert after is Status.QUEUED


def test_what_is_completed_stays_completed() -> None:
    assert not [h for s, h in TRANSITIONS if s is Status.COMPLETED]


def test_every_status_can_be_reached_and_every_happening_has_a_use() -> None:
    entrances = {Status.QUEUED, Status.SCHEDULED}
    assert entrances | set(TRANSITIONS.values()) == set(Status)
    assert {happening for _, happening in TRANSITIONS} == set(Happening)


def test_an_illegal_transition_survives_pickling() -> None:
    error = IllegalTransition("t", Status.COMPLETED, Happening.CLAIM)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.status, again.happening) == (
        str(error), Status.COMPLETED, Happening.CLAIM,
    )  # fmt: skip
