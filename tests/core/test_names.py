"""Callers make names of queues up: of none of what is kept by name there may be endlessly many."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from task_queue.core import events as ev
from task_queue.core.effects import Accepted, Counted, Done, Refused
from task_queue.core.settings import Rules
from task_queue.core.status import Status
from task_queue.testing import task_spec
from tests.core.driven_machine import DrivenMachine, failed, refusal, succeeded

MakeMachine = Callable[[Rules], DrivenMachine]


@pytest.fixture
def machine(make_machine: MakeMachine) -> DrivenMachine:
    """One for three queues."""
    return make_machine(Rules(max_queues=3))


def _submit(machine: DrivenMachine, *queues: str, **fields: Any) -> object:
    specs = [task_spec(now=machine.now, queue=queue, **fields) for queue in queues]
    return machine.ask(ev.TasksSubmitted(specs))


# ---- queues that hold tasks ----------------------------------------------------------------


def test_a_task_for_one_queue_too_many_is_refused(machine: DrivenMachine) -> None:
    assert isinstance(_submit(machine, "a", "b", "c"), Accepted)
    refused = _submit(machine, "d")
    assert isinstance(refused, Refused) and refused.reason == "queue_full"
    assert "limits.max_queues" in refused.detail and "3 queues" in refused.detail
    assert isinstance(_submit(machine, "a", "c"), Accepted)


def test_all_of_a_batch_are_refused_or_none(machine: DrivenMachine) -> None:
    _submit(machine, "a", "b")
    assert isinstance(_submit(machine, "a", "c", "d"), Refused)
    assert len(machine.tasks) == 2
    assert isinstance(_submit(machine, "a", "c"), Accepted)


def test_a_queue_that_is_empty_makes_room(machine: DrivenMachine) -> None:
    _submit(machine, "a", "b", "c")
    machine.register()
    machine.report(succeeded(machine.lease()))
    assert isinstance(_submit(machine, "d"), Accepted)
    assert isinstance(_submit(machine, "e"), Refused)


def test_a_queue_of_delayed_tasks_is_not_empty(machine: DrivenMachine) -> None:
    _submit(machine, "a", "b", "c", run_at=machine.now + 60)
    assert isinstance(_submit(machine, "d"), Refused)


def test_queues_that_workers_name_are_never_too_many(machine: DrivenMachine) -> None:
    _submit(machine, "a", "b", "c")
    machine.register(queues=("named", "*"))
    assert isinstance(_submit(machine, "named"), Accepted)
    assert isinstance(_submit(machine, "d"), Refused)


def test_a_submit_that_is_repeated_needs_no_room(machine: DrivenMachine) -> None:
    spec = task_spec(now=machine.now, queue="a")
    machine.ask(ev.TasksSubmitted([spec]))
    machine.register()
    machine.report(succeeded(machine.lease()))
    _submit(machine, "b", "c", "d")
    again = ev.TasksSubmitted([spec], {spec.id: spec.id})
    assert machine.ask(again) == Accepted([spec.id], [0])


def test_tasks_that_run_again_open_no_queue_too_many(machine: DrivenMachine) -> None:
    (dead,) = [machine.submit(queue="a")]
    machine.register()
    machine.report(failed(machine.lease(), retryable=False))
    _submit(machine, "b", "c", "d")
    assert refusal(machine.replay(dead)) == "queue_full"
    assert machine.status(dead) is Status.FAILED
    machine.cancel(next(i for i, task in machine.tasks.items() if task.spec.queue == "d"))
    assert machine.replay(dead) == Counted(1)


# ---- paused names --------------------------------------------------------------------------


def test_so_many_names_are_paused_and_no_more(machine: DrivenMachine) -> None:
    for queue in ("a", "b", "c"):
        assert machine.ask(ev.QueuePaused(queue, True)) == Done()
    refused = machine.ask(ev.QueuePaused("d", True))
    assert isinstance(refused, Refused) and "resume some" in refused.detail
    assert machine.ask(ev.QueuePaused("a", True)) == Done()  # again
    machine.restart()
    assert machine.machine.paused == {"a", "b", "c"}
    assert refusal(machine.ask(ev.QueuePaused("d", True))) == "queue_full"


def test_names_that_are_resumed_are_forgotten(machine: DrivenMachine) -> None:
    for number in range(20):
        for paused in (True, False):
            assert machine.ask(ev.QueuePaused(f"made-up-{number}", paused)) == Done()
    machine.restart()
    assert machine.machine.paused == set()
    assert machine.store._paused == {}


# ---- counts --------------------------------------------------------------------------------


def test_names_beyond_those_are_counted_together_and_nothing_is_lost(
    make_machine: MakeMachine,
) -> None:
    machine = make_machine(Rules(max_queues=2))
    machine.register()
    numbers = count()
    for restarts in (False, True):
        if restarts:
            machine.restart()
            machine.handle(ev.WorkerResumed("w1", "a", []))
        for _ in range(4):
            machine.submit(queue=f"made-up-{next(numbers)}", name="n")
            machine.report(succeeded(machine.lease()))
    told = {(t.queue, t.kind): t.count for t in machine.store.tallies()}
    assert told == {
        (queue, kind): many
        for kind in ("submitted", "completed")
        for queue, many in (("made-up-0", 1), ("made-up-1", 1), ("other", 6))
    }
