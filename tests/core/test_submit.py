"""Coming in: order, queues, times, and a submission that is made twice."""

from collections.abc import Callable

import pytest

from task_queue.core import events as ev
from task_queue.core.effects import Accepted, Counted, Refused
from task_queue.core.settings import Rules
from task_queue.core.status import Status
from task_queue.testing import task_spec
from tests.core.driven_machine import START, DrivenMachine, succeeded


def test_a_task_is_queued_then_running_then_completed(machine: DrivenMachine) -> None:
    machine.register()
    task_id = machine.submit()
    assert machine.status(task_id) is Status.QUEUED

    lease = machine.lease()
    assert (lease.task_id, lease.attempt) == (task_id, 1)
    assert machine.status(task_id) is Status.RUNNING

    machine.report(succeeded(lease))
    task = machine.tasks[task_id]
    assert (task.status, task.started_at, task.finished_at) == (
        Status.COMPLETED, START, machine.now,
    )  # fmt: skip
    assert machine.over == [(task_id, Status.COMPLETED)]
    assert machine.tallies == {"submitted": 1, "completed": 1}


def test_a_lease_carries_all_that_the_worker_needs(machine: DrivenMachine) -> None:
    fields = {
        "name": "shop.pay", "queue": "money", "priority": 8, "arguments": b'{"args":[1]}',
        "timeout_seconds": 4.0, "max_retries": 2, "traceparent": "00-a-b-01", "request_id": "r",
    }  # fmt: skip
    lease = machine.start(**fields)
    assert {name: getattr(lease, name) for name in fields} == fields
    assert (lease.submitted_at, lease.failures) == (START, 0)


def test_a_row_that_is_new_is_saved_once_as_it_is_after_the_turn(machine: DrivenMachine) -> None:
    machine.register()
    machine.pull()
    machine.submit()
    changes = machine.last.changes
    assert [task.status for task in changes.inserted] == [Status.RUNNING]
    assert changes.touched == {}


# ---- order ---------------------------------------------------------------------------------


def test_the_higher_priority_always_goes_first(machine: DrivenMachine) -> None:
    machine.register()
    ids = {p: machine.submit(priority=p) for p in (3, 9, 0, 5, 7)}
    machine.register("w2", slots=5)
    given = [lease.task_id for lease in machine.leases("w2", want=5)]
    assert given == [ids[p] for p in (9, 7, 5, 3, 0)]


def test_within_a_priority_it_is_first_in_first_out(machine: DrivenMachine) -> None:
    machine.register(slots=10)
    ids = machine.submit_all(*[{}] * 10)
    assert [lease.task_id for lease in machine.leases(want=10)] == ids


def test_over_queues_the_order_is_priority_then_acceptance(machine: DrivenMachine) -> None:
    first = machine.submit(queue="b", priority=5)
    second = machine.submit(queue="a", priority=5)
    urgent = machine.submit(queue="c", priority=6)
    machine.register(slots=3)
    assert [lease.task_id for lease in machine.leases(want=3)] == [urgent, first, second]


def test_a_worker_gets_tasks_of_its_queues_only(machine: DrivenMachine) -> None:
    machine.submit(queue="other")
    mine = machine.submit(queue="mine")
    machine.register(slots=5, queues=("mine", "unused"))
    assert [lease.task_id for lease in machine.leases(want=5)] == [mine]


def test_star_is_every_queue_but_the_excluded_ones(machine: DrivenMachine) -> None:
    machine.submit(queue="gpu")
    plain = machine.submit(queue="plain")
    machine.register(slots=5, queues=("*",), excluded=("gpu",))
    assert [lease.task_id for lease in machine.leases(want=5)] == [plain]


def test_a_queue_that_is_named_beside_the_star_is_served(machine: DrivenMachine) -> None:
    named = machine.submit(queue="gpu")
    plain = machine.submit(queue="plain")
    machine.register(slots=5, queues=("*", "gpu"), excluded=("gpu",))
    assert [lease.task_id for lease in machine.leases(want=5)] == [named, plain]


def test_a_paused_queue_gives_out_nothing_until_it_is_resumed(machine: DrivenMachine) -> None:
    machine.ask(ev.QueuePaused("default", paused=True))
    task_id = machine.submit()
    other = machine.submit(queue="other", priority=0)
    machine.register(slots=2)
    assert [lease.task_id for lease in machine.leases(want=2)] == [other]

    machine.pull(want=2)
    machine.ask(ev.QueuePaused("default", paused=False))
    grant = machine.grant()
    assert grant is not None
    assert [lease.task_id for lease in grant.leases] == [task_id]


def test_a_pause_survives_a_restart(machine: DrivenMachine) -> None:
    machine.ask(ev.QueuePaused("default", paused=True))
    machine.restart()
    machine.submit()
    machine.register()
    assert machine.leases() == []


# ---- times ---------------------------------------------------------------------------------


def test_a_task_with_a_run_at_is_scheduled_until_then(machine: DrivenMachine) -> None:
    task_id = machine.submit(run_at=START + 10)
    assert machine.status(task_id) is Status.SCHEDULED
    assert machine.machine.next_time() == START + 10
    machine.tick(9.9)
    assert machine.status(task_id) is Status.SCHEDULED
    machine.tick(0.1)
    assert machine.status(task_id) is Status.QUEUED


@pytest.mark.parametrize("run_at", [None, START - 1, START])
def test_a_run_at_that_is_not_ahead_queues_at_once(
    machine: DrivenMachine, run_at: float | None
) -> None:
    assert machine.status(machine.submit(run_at=run_at)) is Status.QUEUED


def test_a_task_that_is_due_stands_behind_those_that_wait(machine: DrivenMachine) -> None:
    delayed = machine.submit(run_at=START + 1)
    waiting = machine.submit()
    machine.tick(1)
    machine.register(slots=2)
    assert [lease.task_id for lease in machine.leases(want=2)] == [waiting, delayed]


@pytest.mark.parametrize(
    "fields",
    [{}, {"run_at": START + 3}, {"run_at": START + 99}],
    ids=["queued", "was-scheduled", "scheduled"],
)
def test_a_task_that_has_not_started_expires(
    machine: DrivenMachine, fields: dict[str, float]
) -> None:
    task_id = machine.submit(expires_at=START + 5, **fields)
    machine.tick(4.9)
    assert machine.status(task_id) is not Status.EXPIRED
    machine.tick(0.1)
    task = machine.tasks[task_id]
    assert (task.status, task.finished_at) == (Status.EXPIRED, START + 5)
    assert machine.story(task_id) == ["expired"]
    assert machine.tallies["expired"] == 1
    machine.register()
    assert machine.leases() == []


def test_a_task_is_never_given_out_at_its_expiry(machine: DrivenMachine) -> None:
    machine.register()
    machine.pull()
    task_id = machine.submit(expires_at=machine.now)
    assert machine.status(task_id) is Status.EXPIRED
    assert [task.status for task in machine.last.changes.inserted] == [Status.EXPIRED]


def test_a_task_that_is_over_does_not_expire(machine: DrivenMachine) -> None:
    lease = machine.start(expires_at=START + 1)
    machine.report(succeeded(lease))
    machine.tick(5)
    assert machine.status(lease.task_id) is Status.COMPLETED
    assert machine.tallies.get("expired") is None


def test_a_running_task_whose_time_passes_still_completes(machine: DrivenMachine) -> None:
    lease = machine.start(expires_at=START + 1)
    machine.tick(2)
    assert machine.status(lease.task_id) is Status.RUNNING
    machine.report(succeeded(lease))
    assert machine.status(lease.task_id) is Status.COMPLETED


# ---- twice ---------------------------------------------------------------------------------


def test_an_idempotency_key_of_a_live_task_finds_it(machine: DrivenMachine) -> None:
    first = machine.submit(idempotency_key="k")
    answer = machine.ask(ev.TasksSubmitted([task_spec(idempotency_key="k")]))
    assert answer == Accepted([first], [0])
    assert len(machine.tasks) == 1


def test_an_idempotency_key_is_found_within_a_batch(machine: DrivenMachine) -> None:
    specs = [task_spec(idempotency_key=key) for key in ("a", "b", "a")]
    answer = machine.ask(ev.TasksSubmitted(specs))
    assert answer == Accepted([specs[0].id, specs[1].id, specs[0].id], [2])
    assert len(machine.tasks) == 2


def test_an_idempotency_key_that_the_store_knows_finds_the_task(machine: DrivenMachine) -> None:
    answer = machine.ask(ev.TasksSubmitted([task_spec(idempotency_key="k")], {"k": "old"}))
    assert answer == Accepted(["old"], [0])
    assert machine.tasks == {}


def test_a_key_is_found_after_a_restart_while_its_task_lives(machine: DrivenMachine) -> None:
    first = machine.submit(idempotency_key="k")
    machine.restart()
    assert machine.submit(idempotency_key="k") == first


def test_an_id_that_is_live_is_not_accepted_again(machine: DrivenMachine) -> None:
    spec = task_spec()
    assert machine.ask(ev.TasksSubmitted([spec, spec])) == Accepted([spec.id, spec.id], [1])
    assert machine.ask(ev.TasksSubmitted([spec])) == Accepted([spec.id], [0])
    assert len(machine.tasks) == 1


def test_an_id_that_the_store_knows_is_not_accepted_again(machine: DrivenMachine) -> None:
    spec, new = task_spec(), task_spec()
    answer = machine.ask(ev.TasksSubmitted([spec, new], {spec.id: spec.id}))
    assert answer == Accepted([spec.id, new.id], [0])
    assert list(machine.tasks) == [new.id]


@pytest.mark.parametrize("key", [None, "k"])
def test_a_task_that_was_accepted_and_is_over_in_the_same_turn_is_not_accepted_again(
    machine: DrivenMachine, key: str | None
) -> None:
    # Neither the store, asked before the turn, nor the live tasks tell of it.
    spec = task_spec(idempotency_key=key)
    again = spec if key is None else task_spec(idempotency_key=key)
    fx = machine.handle(
        ev.TasksSubmitted([spec]), ev.QueuePurged("default"), ev.TasksSubmitted([again])
    )
    assert fx.answers == [Accepted([spec.id]), Counted(1), Accepted([spec.id], [0])]
    assert machine.status(spec.id) is Status.CANCELLED
    assert len(machine.tasks) == 1


# ---- limits --------------------------------------------------------------------------------


def test_a_submission_that_does_not_fit_is_refused_whole(
    make_machine: Callable[[Rules], DrivenMachine],
) -> None:
    machine = make_machine(Rules(max_queue_length=3))
    machine.submit_all({}, {"run_at": START + 9})
    specs = [task_spec(queue="roomy"), task_spec(), task_spec()]
    answer = machine.ask(ev.TasksSubmitted(specs))
    assert isinstance(answer, Refused)
    assert answer.reason == "queue_full"
    assert "'default'" in answer.detail
    assert "max_queue_length" in answer.detail
    assert len(machine.tasks) == 2
    assert not machine.last.changes


def test_so_many_tasks_may_have_a_time(make_machine: Callable[[Rules], DrivenMachine]) -> None:
    machine = make_machine(Rules(max_timed_tasks=2))
    specs = [task_spec(run_at=START + 9), task_spec(expires_at=START + 9)]
    known = {spec.id: spec.id for spec in specs}
    machine.ask(ev.TasksSubmitted(specs))
    refused = machine.ask(ev.TasksSubmitted([task_spec(), task_spec(run_at=START + 9)]))
    assert isinstance(refused, Refused)
    assert refused.reason == "queue_full"
    assert "max_timed_tasks" in refused.detail
    assert machine.ask(ev.TasksSubmitted(specs, known)) == Accepted(list(known), [0, 1])
    machine.submit()
    machine.restart()
    machine.tick(20.0)
    assert machine.status(specs[1].id) is Status.EXPIRED
    machine.submit(run_at=START + 99)


def test_what_runs_does_not_count_for_the_limit(
    make_machine: Callable[[Rules], DrivenMachine],
) -> None:
    machine = make_machine(Rules(max_queue_length=1))
    machine.start()
    assert machine.status(machine.submit()) is Status.QUEUED


def test_a_repeated_submission_is_not_refused_because_the_first_one_filled_the_queue(
    make_machine: Callable[[Rules], DrivenMachine],
) -> None:
    machine = make_machine(Rules(max_queue_length=2))
    specs = [task_spec(), task_spec(idempotency_key="k")]
    machine.ask(ev.TasksSubmitted(specs))
    again = [specs[0], task_spec(idempotency_key="k")]
    answer = machine.ask(ev.TasksSubmitted(again, {specs[0].id: specs[0].id}))
    assert answer == Accepted([spec.id for spec in specs], [0, 1])


def test_a_key_that_comes_twice_in_a_batch_takes_one_place(
    make_machine: Callable[[Rules], DrivenMachine],
) -> None:
    machine = make_machine(Rules(max_queue_length=1))
    specs = [task_spec(idempotency_key="k"), task_spec(idempotency_key="k")]
    answer = machine.ask(ev.TasksSubmitted(specs))
    assert answer == Accepted([specs[0].id] * 2, [1])
