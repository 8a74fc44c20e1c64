"""The lines of a queue and the heaps of times, and that they let go of what is over."""

import gc
import weakref
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_queue.core import events as ev
from task_queue.core.invariants import check_invariants
from task_queue.core.ready import ReadyLine, take_in_order
from task_queue.core.retry import backoff_seconds
from task_queue.core.settings import Rules
from task_queue.core.status import Outcome, Status, WorkerStatus, priority_band
from task_queue.core.task import Report, Task
from task_queue.testing import task_spec
from tests.core.driven_machine import START, DrivenMachine, succeeded


def _task(seq: int, priority: int = 5, attempt: int = 0) -> Task:
    return Task(task_spec(priority=priority), seq, float(seq), attempt=attempt)


def _append(line: ReadyLine, task: Task) -> None:
    line.append(task, task.seq)


def test_a_line_is_ordered_by_priority_then_arrival() -> None:
    line = ReadyLine()
    for seq, priority in enumerate([5, 9, 0, 9, 5]):
        _append(line, _task(seq, priority))
    assert [task.seq for task in line] == [1, 3, 0, 4, 2]
    taken = [[task.seq for task in line.take(9)] for _ in range(4)]
    assert taken == [[1, 3], [0, 4], [2], []]
    assert len(line) == 0


def test_what_was_given_back_comes_before_what_was_never_taken() -> None:
    line = ReadyLine()
    for seq in (7, 8):
        _append(line, _task(seq))
    for seq in (5, 3, 4):
        line.append_first(_task(seq, attempt=1))
    assert [task.seq for task in line] == [3, 4, 5, 7, 8]


def test_a_task_that_left_is_skipped_and_not_counted() -> None:
    line = ReadyLine()
    tasks = [_task(seq) for seq in range(3)]
    for task in tasks:
        _append(line, task)
    line.forget(tasks[0])
    tasks[0].status = Status.CANCELLED
    assert len(line) == 2
    assert line.oldest_submitted_at() == 1.0
    assert line.head() is tasks[1]


def test_over_several_lines_the_first_by_priority_and_acceptance_is_taken() -> None:
    lines = [ReadyLine(), ReadyLine(), ReadyLine()]
    _append(lines[0], _task(2, 5))
    _append(lines[1], _task(1, 5))
    _append(lines[1], _task(3, 5))
    _append(lines[0], _task(4, 6))
    assert [task.seq for task in take_in_order(lines, 9)] == [4, 1, 2, 3]
    assert [len(line) for line in lines] == [0, 0, 0]


@given(
    failures=st.integers(1, 10_000),
    base=st.floats(0.001, 1e6),
    cap=st.floats(0.001, 1e9),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_a_back_off_lies_between_half_of_the_bound_and_all_of_it(
    failures: int, base: float, cap: float, draw: float
) -> None:
    bound = min(cap, base * 2.0 ** min(failures - 1, 60))
    seconds = backoff_seconds(failures, base, cap, lambda: draw)
    assert bound / 2 <= seconds <= min(cap, max(bound, seconds))
    assert seconds <= cap


@pytest.mark.parametrize(
    ("priority", "band"), [(0, "low"), (3, "low"), (4, "normal"), (6, "normal"), (7, "high")]
)
def test_the_band_of_a_priority(priority: int, band: str) -> None:
    assert priority_band(priority) == band


# ---- memory --------------------------------------------------------------------------------


class _Name(str):
    """A name whose end can be watched: tasks themselves have no room for a weak reference."""

    __slots__ = ("__weakref__",)


def _kept(machine: DrivenMachine, end: Callable[[str], ev.Event], **fields: float) -> int:
    """How many of 3,000 tasks that are over are still in memory while another one lives."""
    specs = [task_spec(name=_Name("test.task"), **fields) for _ in range(3_000)]
    names = [weakref.ref(spec.name) for spec in specs]
    ids = [spec.id for spec in specs]
    machine.machine.handle([ev.TasksSubmitted([*specs, task_spec()])], machine.now)
    specs.clear()
    for task_id in ids:
        machine.machine.handle([end(task_id)], machine.now)
    check_invariants(machine.machine)
    gc.collect()
    return sum(name() is not None for name in names)


def test_a_purged_line_is_let_go_of(machine: DrivenMachine) -> None:
    machine.handle(ev.QueuePaused("default", paused=True))
    assert _kept(machine, ev.CancelRequested) < 1_100


def test_cancelled_tasks_with_a_far_run_at_are_let_go_of(machine: DrivenMachine) -> None:
    assert _kept(machine, ev.CancelRequested, run_at=START + 1e9) < 1_100


def test_completed_tasks_with_a_far_expiry_are_let_go_of(machine: DrivenMachine) -> None:
    machine.register(slots=9_000)
    machine.pull(want=9_000)

    def complete(task_id: str) -> ev.WorkerPulled:
        attempt = machine.machine.workers["w1"].held[task_id].attempt
        report = Report(task_id, attempt, Outcome.SUCCEEDED, START, 1.0, b"1")
        return machine.pull_event(want=0, reports=[report])

    assert _kept(machine, complete, expires_at=START + 1e9) < 1_100


def test_thousands_that_are_given_back_come_first_and_in_their_order() -> None:
    line, count = ReadyLine(), 20_000
    later = [_task(seq) for seq in range(count, count + 10)]
    for task in later:
        _append(line, task)
    returned = [_task(seq, attempt=1) for seq in range(count)]
    for task in reversed(returned):  # each in its turn before all others: must not search for it
        line.append_first(task)
    line.append_first(_task(-1, attempt=3))
    assert len(line) == count + 11
    assert [task.seq for task in line] == list(range(-1, count + 10))
    assert line.oldest_submitted_at() == -1.0
    assert [task.seq for task in take_in_order([line], count + 20)] == list(range(-1, count + 10))


def test_one_that_is_given_back_and_cancelled_is_skipped() -> None:
    line = ReadyLine()
    tasks = [_task(seq, attempt=1) for seq in range(3)]
    for task in tasks:
        line.append_first(task)
    tasks[0].status = Status.CANCELLED
    line.forget(tasks[0])
    assert [task.seq for task in take_in_order([line], 9)] == [1, 2]
    assert len(line) == 0


def test_queues_in_which_nothing_waits_any_more_are_forgotten() -> None:
    machine = DrivenMachine(Rules(max_queues=10_000))
    machine.register(slots=5_000)
    busy = machine.submit(queue="busy", priority=0)
    machine.want_status(WorkerStatus.PAUSED)
    for first in range(0, 4_000, 1_000):
        specs = [{"queue": f"q{first + n}"} for n in range(1_000)]
        machine.submit_all(*specs)
        machine.want_status(WorkerStatus.ACTIVE)
        leases = machine.pull(want=1_000)
        assert leases is not None and len(leases.leases) == 1_000
        machine.want_status(WorkerStatus.PAUSED)
        machine.report(*(succeeded(lease) for lease in leases.leases))
    machine.tick(1.0)
    lines = machine.machine.book.lines
    assert len(lines) < 2_500 and len(lines["busy"]) == 1
    check_invariants(machine.machine)
    assert machine.status(busy) is Status.QUEUED
