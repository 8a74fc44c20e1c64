"""Tasks that people have run again: they wait in memory, so there is room for so many."""

from collections.abc import Callable

import pytest

from task_queue.core import events as ev
from task_queue.core.effects import Counted, Refused
from task_queue.core.settings import Rules
from task_queue.core.status import Status
from tests.core.driven_machine import START, DrivenMachine, failed, refusal

MakeMachine = Callable[[Rules], DrivenMachine]


def _dead_letters(machine: DrivenMachine, count: int, **fields: object) -> list[str]:
    """Tasks that failed for good, and no worker that could take them again."""
    ids = [machine.submit(**fields) for _ in range(count)]
    killer = f"killer of {ids[0]}"
    machine.register(killer, slots=count)
    while leases := machine.leases(killer, want=count):
        reports = [failed(lease, retryable=False) for lease in leases]
        machine.report(*reports, worker_id=killer)
    machine.handle(ev.WorkerDeregistered(killer, "a"))
    return ids


def test_more_than_there_is_room_for_are_refused_and_stay_what_they_were(
    make_machine: MakeMachine,
) -> None:
    machine = make_machine(Rules(window=4, max_retrying=5))
    ids = _dead_letters(machine, 8)
    refused = machine.replay(*ids)
    assert isinstance(refused, Refused) and refused.reason == "queue_full"
    assert "'default'" in refused.detail and "limits.max_retrying" in refused.detail
    assert machine.machine.book.live == {}
    assert machine.replay(*ids[:5]) == Counted(5)
    assert refusal(machine.replay(ids[5])) == "queue_full"
    assert [machine.status(i) for i in ids] == [Status.QUEUED] * 5 + [Status.FAILED] * 3


def test_there_is_room_again_when_some_are_over(make_machine: MakeMachine) -> None:
    machine = make_machine(Rules(window=4, max_retrying=2))
    ids = _dead_letters(machine, 4)
    machine.replay(*ids[:2])
    machine.register(slots=1)
    (lease,) = machine.leases()
    assert machine.replay(ids[2]) == Counted(1)
    machine.report(failed(lease, retryable=False))
    assert [lease.task_id for lease in machine.leases(want=4)] == ids[1:3]


def test_one_queue_leaves_others_their_room(make_machine: MakeMachine) -> None:
    machine = make_machine(Rules(window=4, max_retrying=2))
    ids = _dead_letters(machine, 3)
    other = _dead_letters(machine, 2, queue="other")
    machine.replay(*ids[:2])
    assert refusal(machine.replay(ids[2], other[0])) == "queue_full"
    assert machine.replay(*other) == Counted(2)


def test_retries_take_room(make_machine: MakeMachine) -> None:
    machine = make_machine(Rules(window=4, max_retrying=2))
    (dead,) = _dead_letters(machine, 1)
    for lease in (machine.start(max_retries=1), machine.start(max_retries=1)):
        machine.report(failed(lease, retry_after_seconds=60.0))
    assert refusal(machine.replay(dead)) == "queue_full"


@pytest.mark.parametrize("taken", [True, False])
def test_with_little_memory_left_there_is_room_for_a_page(
    make_machine: MakeMachine, taken: bool
) -> None:
    machine = make_machine(Rules(window=4, memory_bytes=1 if taken else 10**9))
    ids = _dead_letters(machine, 3)
    machine.submit(queue="other")
    assert machine.replay(ids[0]) == Counted(1)
    assert isinstance(machine.replay(*ids[1:]), Refused if taken else Counted)


def test_tasks_that_were_cancelled_before_they_ran_are_bounded_as_well(
    make_machine: MakeMachine,
) -> None:
    machine = make_machine(Rules(window=4, max_retrying=3))
    ids = [machine.submit() for _ in range(4)]
    for task_id in ids:
        machine.cancel(task_id)
    for task_id in ids[:3]:
        assert machine.replay(task_id) == Counted(1)
    assert refusal(machine.replay(ids[3])) == "queue_full"
    machine.cancel(ids[0])
    assert machine.replay(ids[3]) == Counted(1)


def test_tasks_with_a_time_are_bounded_as_when_they_are_submitted(
    make_machine: MakeMachine,
) -> None:
    machine = make_machine(Rules(max_timed_tasks=1))
    first = machine.submit(expires_at=START + 1e6)
    machine.cancel(first)
    second = machine.submit(expires_at=START + 1e6)
    refused = machine.replay(first)
    assert isinstance(refused, Refused) and "limits.max_timed_tasks" in refused.detail
    machine.cancel(second)
    assert machine.replay(first) == Counted(1)


def test_a_task_that_is_named_twice_runs_once(machine: DrivenMachine) -> None:
    (dead,) = _dead_letters(machine, 1)
    assert machine.replay(dead, dead) == Counted(1)
    machine.register()
    assert len(machine.leases(want=5)) == 1
