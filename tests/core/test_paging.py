"""Of a long line only the start is in memory: nobody must notice by what happens to the tasks."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_queue.core import events as ev
from task_queue.core.effects import Accepted, Counted, Moved
from task_queue.core.paged_out import PagedOut
from task_queue.core.ready import ReadyLine, take_in_order
from task_queue.core.schedule import Schedule
from task_queue.core.settings import Rules
from task_queue.core.status import Status
from task_queue.core.task import Task
from task_queue.testing import task_spec
from tests.core.driven_machine import START, DrivenMachine, failed, refusal, succeeded


@pytest.fixture
def machine(make_machine: Callable[[Rules], DrivenMachine]) -> DrivenMachine:
    """One that keeps four tasks of a line, and pages in one at a time."""
    return make_machine(Rules(window=4))


def _in_memory(machine: DrivenMachine) -> int:
    return len(machine.machine.book.live)


def _run_all(machine: DrivenMachine, want: int = 1) -> list[str]:
    """Let w1 do all there is, `want` at a time; the ids in the order of their leases."""
    if "w1" not in machine.machine.workers:
        machine.register(slots=100)
    order: list[str] = []
    while True:
        leases = [lease for _ in range(want) for lease in machine.leases(want=want)]
        if not leases:
            return order
        order += [lease.task_id for lease in leases]
        machine.report(*(succeeded(lease) for lease in leases))


# ---- the line ------------------------------------------------------------------------------


class _PagedLine:
    """A line and its store, beside a plain list of what waits, in the order it must come."""

    def __init__(self) -> None:
        self.line = ReadyLine()
        self.stored: list[Task] = []
        self.expected: list[tuple[tuple[int, int], Task]] = []
        self.seq = 0

    def accept(self, _place: int = 0) -> None:
        self.seq += 1
        task = Task(task_spec(), self.seq, float(self.seq))
        self.expected.append(((self.seq, 1), task))
        if self.line.room(5, 2):
            self.line.append(task, self.seq)
        else:
            self.line.page_out([task])
            self.stored.append(task)

    def join(self, _place: int = 0) -> None:
        """One that is not new, as a retry: after all that was accepted before."""
        task = Task(task_spec(), 0, 0.0, attempt=1)
        self.expected.append(((self.seq + 1, 0), task))
        self.line.append(task, self.seq + 1)

    def page_in(self, _place: int = 0) -> None:
        if self.line.pages_wanted(1):
            page, self.stored = self.stored[:2], self.stored[2:]
            self.line.page_in(5, page)

    def take(self, _place: int = 0) -> None:
        for task in take_in_order([self.line], 1):
            assert task is self._first()
            task.status = Status.RUNNING
        else:
            assert bool(self.expected) == self.line.is_starved

    def cancel_stored(self, place: int) -> None:
        if self.stored:
            task = self.stored.pop(place % len(self.stored))
            self.line.take_from_store(task)
            self._forget(task)

    def cancel_here(self, place: int) -> None:
        here = list(self.line)
        if here:
            self._forget(here[place % len(here)])

    def _forget(self, task: Task) -> None:
        task.status = Status.CANCELLED
        self.line.forget(task)
        self.expected = [entry for entry in self.expected if entry[1] is not task]

    def _first(self) -> Task:
        self.expected.sort(key=lambda entry: entry[0])
        return self.expected.pop(0)[1]


@given(st.lists(st.tuples(st.sampled_from("aaajptch"), st.integers(0, 9)), max_size=60))
def test_a_paged_line_gives_what_a_whole_one_would(steps: list[tuple[str, int]]) -> None:
    paged = _PagedLine()
    moves: dict[str, Callable[[int], None]] = {
        "a": paged.accept, "j": paged.join, "p": paged.page_in, "t": paged.take,
        "c": paged.cancel_stored, "h": paged.cancel_here,
    }  # fmt: skip
    for step, place in steps:
        moves[step](place)
        assert len(paged.line) == len(paged.expected)
        assert len(list(paged.line)) == len(paged.expected) - len(paged.stored)
        oldest = paged.line.oldest_submitted_at()
        waiting = [task.submitted_at for _, task in paged.expected if not task.attempt]
        assert (oldest is None) == (not paged.expected)
        assert oldest is None or oldest <= min(waiting, default=0.0)
    while paged.expected:
        paged.page_in()
        paged.take()
    assert not paged.line.paged_out and paged.line.head() is None and not paged.line.is_starved


def test_more_than_is_paged_out_cannot_come_in() -> None:
    line = ReadyLine()
    line.restore(PagedOut("default", 5, 1, 1, 1.0))
    with pytest.raises(ValueError, match="2 tasks were paged in, 1 are paged out"):
        line.page_in(5, [Task(task_spec(), seq, 1.0) for seq in (1, 2)])


# ---- the machine ---------------------------------------------------------------------------


def test_memory_holds_the_start_of_a_line_and_the_tasks_run_in_order(
    machine: DrivenMachine,
) -> None:
    ids = [machine.submit() for _ in range(20)]
    assert _in_memory(machine) == 4
    assert machine.machine.book.lines["default"].waiting[5] == 20
    assert _run_all(machine) == ids
    assert _in_memory(machine) == 0


def test_a_page_comes_in_when_few_are_left_and_not_when_there_is_room(
    make_machine: Callable[[Rules], DrivenMachine],
) -> None:
    machine = make_machine(Rules(window=20_000))
    machine.submit_all(*({} for _ in range(21_000)))
    machine.register(slots=20_000)
    assert len(machine.leases(want=12_999)) == 12_999
    assert _in_memory(machine) == 20_000
    assert len(machine.leases(want=13_000)) == 1  # in all; 7,000 are left that wait
    assert _in_memory(machine) == 21_000


@pytest.mark.parametrize("want", [1, 3, 50])
def test_a_batch_and_several_queues_run_in_the_order_of_acceptance(
    machine: DrivenMachine, want: int
) -> None:
    ids = machine.submit_all(*({"queue": f"q{n % 3}"} for n in range(60)))
    assert _run_all(machine, want) == ids


def test_what_is_paged_out_goes_before_a_lower_priority_that_is_in_memory(
    machine: DrivenMachine,
) -> None:
    high = [machine.submit(priority=9) for _ in range(12)]
    low = [machine.submit(priority=1) for _ in range(2)]
    assert _run_all(machine, want=10) == high + low


def test_a_retry_waits_behind_what_was_accepted_before_it(machine: DrivenMachine) -> None:
    lease = machine.start(max_retries=1, retry_base_seconds=1.0, retry_cap_seconds=1.0)
    before = [machine.submit() for _ in range(10)]
    machine.report(failed(lease))
    machine.tick(5.0)
    assert machine.status(lease.task_id) is Status.QUEUED
    after = [machine.submit() for _ in range(3)]
    assert _run_all(machine) == [*before, lease.task_id, *after]


def _fail_all(machine: DrivenMachine, most: int) -> list[str]:
    """Take at most so many at a time and let each fail, until nothing is given out."""
    begun: list[str] = []
    while leases := machine.leases(want=most):
        begun += [lease.task_id for lease in leases]
        machine.report(*map(failed, leases))
    return begun


def test_a_queue_with_many_retries_gives_out_nothing_else_and_memory_stays_small(
    make_machine: Callable[[Rules], DrivenMachine],
) -> None:
    machine = make_machine(Rules(window=4, max_retrying=6))
    machine.register(slots=2)
    ids = [
        machine.submit(max_retries=2, retry_base_seconds=4.0, retry_cap_seconds=4.0)
        for _ in range(50)
    ]
    other = machine.submit(queue="other")
    begun = _fail_all(machine, 2)
    assert begun == [*ids[:6], other]
    seen = set(begun)
    for _ in range(40):
        machine.pull(want=0)
        machine.tick(4.0)
        seen.update(_fail_all(machine, 2))
        assert _in_memory(machine) <= 4 + 2 * 6 + 2
    assert seen == {*ids, other}
    assert {task.status for task in machine.tasks.values()} == {Status.FAILED}


@pytest.mark.parametrize("restarts", [False, True])
def test_tasks_that_come_back_at_once_are_all_given_out(
    make_machine: Callable[[Rules], DrivenMachine], restarts: bool
) -> None:
    """However many there are: those that have no place in the line go before it."""
    machine = make_machine(Rules(window=4, max_retrying=2))
    ids = [machine.submit(expires_at=START + 1e6, max_retries=1) for _ in range(12)]
    machine.register("w", slots=12)
    leases = machine.leases("w", want=12)
    machine.report(*(failed(lease, retry_after_seconds=5.0) for lease in leases), worker_id="w")
    machine.handle(ev.WorkerDeregistered("w", "a"))
    machine.tick(5.0)
    if restarts:
        machine.restart()
    late = machine.submit()
    assert sorted(_run_all(machine)) == sorted([*ids, late])


def test_what_has_a_time_stays_in_memory_and_keeps_its_place(machine: DrivenMachine) -> None:
    first = [machine.submit() for _ in range(8)]
    mortal = machine.submit(expires_at=START + 1e6)
    last = [machine.submit() for _ in range(3)]
    assert _in_memory(machine) == 5
    machine.restart()
    assert _in_memory(machine) == 5
    assert _run_all(machine) == [*first, mortal, *last]


def test_a_scheduler_that_starts_counts_what_is_paged_out(machine: DrivenMachine) -> None:
    ids = [machine.submit() for _ in range(9)]
    other = [machine.submit(queue="other", priority=2) for _ in range(6)]
    machine.restart()
    lines = machine.machine.book.lines
    assert lines["default"].waiting[5] == 9 and lines["other"].waiting[2] == 6
    assert _in_memory(machine) == 8
    assert lines["default"].oldest_submitted_at() == START
    assert _run_all(machine) == [*ids, *other]


@pytest.mark.parametrize("place", [4, 7, 9])
def test_one_that_is_paged_out_is_cancelled(machine: DrivenMachine, place: int) -> None:
    ids = [machine.submit() for _ in range(10)]
    doomed = ids.pop(place)
    answer = machine.ask(ev.CancelRequested(doomed, machine.saved(doomed)))
    assert answer == Moved(doomed, Status.CANCELLED, cancel_requested=False)
    machine.restart()
    assert _run_all(machine) == ids
    assert machine.story(doomed) == ["cancelled"]


def test_one_that_is_paged_out_is_cancelled_once(machine: DrivenMachine) -> None:
    ids = [machine.submit() for _ in range(6)]
    asks = [ev.CancelRequested(ids[5], machine.saved(ids[5])) for _ in range(2)]
    first, second = machine.handle(*asks).answers
    assert isinstance(first, Moved)
    assert refusal(second) == "not_live"
    assert machine.over == [(ids[5], Status.CANCELLED)]


def test_what_comes_in_in_a_turn_and_is_cancelled_twice_in_it_is_cancelled_once(
    machine: DrivenMachine,
) -> None:
    ids = [machine.submit() for _ in range(5)]
    page = ev.TasksPaged("default", 5, [machine.saved(ids[4])])
    asks = [ev.CancelRequested(ids[4], machine.saved(ids[4])) for _ in range(2)]
    _, first, second = machine.machine.handle([page, *asks], machine.now).answers
    assert isinstance(first, Moved)
    assert refusal(second) == "not_live"


def test_one_that_is_accepted_paged_out_and_cancelled_in_one_turn(machine: DrivenMachine) -> None:
    ids = [machine.submit() for _ in range(4)]
    spec = task_spec()
    cancel = ev.CancelRequested(spec.id)
    fx = machine.handle(ev.TasksSubmitted([spec]), cancel, cancel)
    assert isinstance(fx.answers[1], Moved)
    assert refusal(fx.answers[2]) == "not_live"
    assert machine.status(spec.id) is Status.CANCELLED
    machine.restart()
    assert _run_all(machine) == ids


def test_a_key_that_is_the_id_of_another_task_hides_it_from_no_cancel(
    machine: DrivenMachine,
) -> None:
    ids = [machine.submit() for _ in range(5)]
    follower = task_spec(idempotency_key=ids[4])  # one for each task before it, say
    cancel = ev.CancelRequested(ids[4], machine.saved(ids[4]))
    fx = machine.handle(ev.TasksSubmitted([follower]), cancel)
    assert fx.answers[0] == Accepted([follower.id])
    assert isinstance(fx.answers[1], Moved)
    assert machine.status(ids[4]) is Status.CANCELLED


@pytest.mark.parametrize("key", [None, "k"])
def test_one_that_is_paged_out_is_not_accepted_again(
    machine: DrivenMachine, key: str | None
) -> None:
    for _ in range(4):
        machine.submit()
    spec = task_spec(idempotency_key=key)
    again = spec if key is None else task_spec(idempotency_key=key)
    fx = machine.handle(ev.TasksSubmitted([spec]), ev.TasksSubmitted([again]))
    assert fx.answers == [Accepted([spec.id]), Accepted([spec.id], [0])]
    known = {key or spec.id: spec.id}
    assert machine.ask(ev.TasksSubmitted([again], known)) == Accepted([spec.id], [0])
    assert len(machine.tasks) == 5


def test_a_purge_takes_what_is_in_memory_and_was_there_before(machine: DrivenMachine) -> None:
    for _ in range(10):
        machine.submit()
    before_seq = machine.machine.book.next_seq
    newer = machine.submit()
    counts: list[int] = []
    while counts[-1:] != [0]:
        answer = machine.ask(ev.QueuePurged("default", before_seq))
        assert isinstance(answer, Counted)
        counts.append(answer.count)
    assert sum(counts) == 10
    assert _run_all(machine) == [newer]


def test_the_length_limit_counts_what_is_paged_out(
    make_machine: Callable[[Rules], DrivenMachine],
) -> None:
    machine = make_machine(Rules(window=2, max_queue_length=5))
    machine.submit_all(*[{}] * 5)
    assert refusal(machine.ask(ev.TasksSubmitted([task_spec()]))) == "queue_full"


def test_long_arguments_are_paged_out_sooner(
    make_machine: Callable[[Rules], DrivenMachine],
) -> None:
    machine = make_machine(Rules(memory_bytes=100_000))
    long = b'{"args":["' + b"x" * 30_000 + b'"],"kwargs":{}}'
    ids = [machine.submit(arguments=long) for _ in range(12)]
    assert _in_memory(machine) == 4
    other = machine.submit(queue="other")  # an empty line has room for one
    assert _in_memory(machine) == 5
    assert sorted(_run_all(machine)) == sorted([*ids, other])
    assert machine.machine.book.live == {}


def test_a_schedule_that_may_not_overlap_knows_its_last_task_in_a_long_line(
    machine: DrivenMachine,
) -> None:
    for _ in range(8):
        machine.submit()
    schedule = Schedule("s", task_spec("beat"), START + 1, interval_seconds=1.0, overlap="skip")
    machine.ask(ev.ScheduleSaved(schedule))
    machine.tick(1.0)
    machine.restart()
    machine.tick(1.0)
    machine.tick(1.0)
    assert machine.schedules["s"].runs == 1
    assert machine.schedules["s"].skips == 2
