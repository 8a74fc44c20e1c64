"""What the scheduler's side of every store must do."""

from collections.abc import Callable
from copy import copy
from typing import Any

import pytest

from task_queue.core.effects import Changes
from task_queue.core.machine import Loaded
from task_queue.core.status import Status
from task_queue.core.task import Progress, Task, TaskError
from task_queue.store.ended_sum import EndedSum
from task_queue.store.protocol import KEPT_REQUESTS, Pruned, StaleEpoch, Store, StoreError
from task_queue.store.query import Pool, TaskQuery
from task_queue.tasks import TaskOptions, TaskType
from tests.store.databases import (
    NOW,
    Database,
    a_schedule,
    a_task,
    a_worker,
    an_ending,
    an_event,
    bare,
    dead_letter,
    everything,
    inserted,
    touched,
)


def _move(task: Task, **fields: Any) -> Task:
    for name, value in fields.items():
        setattr(task, name, value)
    return task


# ---- load and commit -----------------------------------------------------------------------


def test_a_new_store_is_empty(store: Store) -> None:
    assert store.load() == Loaded([], 1, [], [], [])
    assert store.last_ended() == (0.0, 0)


def test_what_is_not_over_is_loaded_whole_in_the_order_of_acceptance(store: Store) -> None:
    tasks = [
        a_task(3, Status.RUNNING, attempt=2, worker_id="w1", claimed_at=NOW, cancel_requested=True),
        a_task(1, Status.RETRYING, failures=1, due_at=NOW + 9.5, error=TaskError("E", "m", "tb")),
        a_task(2, Status.SCHEDULED, due_at=NOW + 1, run_at=NOW + 1, expires_at=NOW + 5),
        a_task(5, tags=("a", "ä b"), idempotency_key="k", progress=Progress(0.5, "half")),
        a_task(4, Status.COMPLETED),
        dead_letter(6),
    ]
    store.commit(inserted(*tasks))
    loaded = store.load()
    assert loaded.tasks == [tasks[1], tasks[2], tasks[0], tasks[3]]
    assert loaded.next_seq == 7


def test_a_task_moves(store: Store) -> None:
    task = a_task(1)
    store.commit(inserted(task))
    running = _move(task, status=Status.RUNNING, attempt=1, worker_id="w1", claimed_at=NOW + 1)
    store.commit(touched(running))
    assert store.get(task.spec.id) == running
    over = _move(task, status=Status.COMPLETED, started_at=NOW + 2, finished_at=NOW + 3)
    store.commit(touched(over))
    assert store.get(task.spec.id) == over
    assert store.load().tasks == []


_BEFORE: dict[str, dict[str, Any]] = {
    "new": {},
    "retried": {
        "attempt": 2, "failures": 1, "deaths": 1, "due_at": NOW, "error": TaskError("E", "m", "t"),
    },
    "may-expire": {"expires_at": NOW + 99},
    "replayed": {"attempt": 4, "worker_id": "w0", "claimed_at": NOW - 9},
}  # fmt: skip


@pytest.mark.parametrize("before", _BEFORE)
@pytest.mark.parametrize("at_once", [True, False], ids=["at-once", "later"])
def test_a_lease_is_told_whatever_happened_before(store: Store, before: str, at_once: bool) -> None:
    task, other = a_task(1, **_BEFORE[before]), a_task(2)
    if not at_once:
        store.commit(inserted(task, other))
        assert store.load().tasks == [task, other]
    _move(task, status=Status.RUNNING, attempt=task.attempt + 1, worker_id="w1", claimed_at=NOW)
    changes = inserted(task, other) if at_once else touched(task)
    changes.leased = {1: task}
    store.commit(changes)
    assert store.load().tasks == [task, other]
    assert store.get(task.spec.id) == task
    assert store.search(TaskQuery(statuses=(Status.RUNNING,), worker_id="w1"), 9) == [bare(task)]
    assert store.search(TaskQuery(statuses=(Status.QUEUED,)), 9) == [bare(other)]
    assert store.delete([1, 2]) == 0


@pytest.mark.parametrize("before", _BEFORE)
@pytest.mark.parametrize(
    "after",
    [
        {"status": Status.COMPLETED, "started_at": NOW, "finished_at": NOW + 1, "error": None},
        {"status": Status.QUEUED, "worker_id": None, "claimed_at": None},
        {"progress": Progress(0.5, "half"), "cancel_requested": True},
        {"status": Status.RETRYING, "due_at": NOW + 5, "failures": 3},
    ],
    ids=["over", "given-back", "tells", "failed"],
)
def test_what_follows_a_lease_takes_its_place(
    store: Store, before: str, after: dict[str, Any]
) -> None:
    task = a_task(1, **_BEFORE[before])
    store.commit(inserted(task))
    _move(task, status=Status.RUNNING, attempt=task.attempt + 1, worker_id="w1", claimed_at=NOW)
    changes = touched(task)
    changes.leased = {1: task}
    store.commit(changes)
    store.commit(touched(_move(task, **after)))
    assert store.get(task.spec.id) == task
    assert store.search(TaskQuery(), 9) == [bare(task)]
    again = store.load().tasks
    assert again == ([] if task.finished_at else [task])
    if not again:
        return
    _move(task, status=Status.RUNNING, attempt=task.attempt + 1, worker_id="w2", claimed_at=NOW + 9)
    _move(task, started_at=None, progress=None, cancel_requested=False)
    changes = touched(task)
    changes.leased = {1: task}
    store.commit(changes)
    assert store.load().tasks == [task]


def test_a_task_that_is_replayed_before_it_ever_ran_is_told_once(store: Store) -> None:
    task = a_task(1)
    store.commit(inserted(task))
    store.commit(touched(_move(task, status=Status.CANCELLED, finished_at=NOW)))
    store.commit(touched(_move(task, status=Status.QUEUED, finished_at=None)))
    changes = touched(_move(task, status=Status.RUNNING, attempt=1, worker_id="w", claimed_at=NOW))
    changes.leased = {1: task}
    store.commit(changes)
    assert store.load().tasks == [task]
    over = _move(task, status=Status.COMPLETED, started_at=NOW, finished_at=NOW + 1)
    store.commit(touched(over))
    assert store.search(TaskQuery(), 9) == [bare(over)]


def test_a_claim_that_was_not_saved_is_forgotten(store: Store) -> None:
    task, other = a_task(1), a_task(2)
    store.commit(inserted(task, other))
    claimed = copy(task)
    _move(claimed, status=Status.RUNNING, attempt=1, worker_id="w", claimed_at=NOW)
    changes = touched(claimed)
    changes.leased, changes.inserted = {1: claimed}, [a_task(3, id=other.spec.id)]
    with pytest.raises(StoreError):
        store.commit(changes)
    assert store.load().tasks == [task, other]
    over = _move(task, status=Status.COMPLETED, attempt=1, finished_at=NOW)
    store.commit(touched(over))
    assert store.search(TaskQuery(), 9) == [bare(other), bare(over)]
    assert store.load().tasks == [other]


_ALIKE: dict[str, Callable[[int], dict[str, Any]]] = {
    "alike": lambda _: {},
    "accepted-at-times": lambda n: {"submitted_at": NOW + n // 9},
    "long-arguments": lambda _: {"arguments": b"x" * 1_000},
    "two-kinds": lambda n: {"name": f"task {n // 10}", "tags": ("a",), "priority": n // 10},
    "any-ids": lambda n: {"id": f'a\x00"\\ß{n}'},
}


@pytest.mark.parametrize("kind", _ALIKE)
@pytest.mark.parametrize("step", [1, 2, -1])
def test_many_alike_are_told_apart(store: Store, kind: str, step: int) -> None:
    fields = {"submitted_at": NOW, "request_id": "r"}
    tasks = [a_task(100 + step * n, **{**fields, **_ALIKE[kind](n)}) for n in range(20)]
    store.commit(inserted(*tasks))
    assert store.load().tasks == sorted(tasks, key=lambda task: task.seq)
    ids = [task.spec.id for task in tasks]
    assert store.find(ids) == {task.spec.id: bare(task) for task in tasks}
    store.commit(touched(*(_move(t, status=Status.CANCELLED, finished_at=NOW) for t in tasks)))
    assert store.load().tasks == []


def test_what_was_committed_does_not_change_with_the_machine_s_object(store: Store) -> None:
    task = a_task(1)
    store.commit(inserted(task))
    task.status = Status.CANCELLED
    saved = store.get(task.spec.id)
    assert saved is not None
    assert saved.status is Status.QUEUED


def test_nothing_to_save_is_saved(store: Store) -> None:
    store.commit(Changes())
    assert store.load() == Loaded([], 1, [], [], [])


def test_paused_queues_are_loaded(store: Store) -> None:
    store.commit(Changes(queues={"a": True, "b": True, "c": False}))
    store.commit(Changes(queues={"b": False}))
    assert store.load().paused_queues == ["a"]


def test_living_workers_are_loaded_and_all_are_listed(store: Store) -> None:
    first, second = a_worker("w1"), a_worker("w2", hostname="h", excluded=("gpu",))
    store.commit(Changes(workers={"w2": second, "w1": first}))
    ended = a_worker("w1", ended_at=NOW, end_cause="died")
    store.commit(Changes(workers={"w1": ended}))
    assert store.load().workers == [second]
    assert store.load().former == {"w1": ended}
    assert store.workers() == [ended, second]


def test_a_worker_that_comes_back_takes_the_place_of_its_earlier_self(store: Store) -> None:
    store.commit(Changes(workers={"w1": a_worker("w1", ended_at=NOW)}))
    again = a_worker("w1", restarts=1)
    store.commit(Changes(workers={"w1": again}))
    assert store.load().workers == [again]
    assert store.workers() == [again]


def test_schedules_are_loaded_replaced_and_deleted(store: Store) -> None:
    first, second = a_schedule("b"), a_schedule("a", overlap="allow", last_task_id="t")
    store.commit(Changes(schedules={"b": first, "a": second}))
    assert store.load().schedules == store.schedules() == [second, first]
    changed = a_schedule("b", runs=7)
    store.commit(Changes(schedules={"b": changed, "a": None, "never-was": None}))
    assert store.load().schedules == store.schedules() == [changed]


def test_a_queue_that_is_resumed_is_forgotten(store: Store) -> None:
    store.commit(Changes(queues={"a": True, "b": True}))
    store.commit(Changes(queues={"a": False, "never paused": False}))
    assert store.load().paused_queues == ["b"]


def test_queues_that_are_counted_are_loaded_by_name(store: Store) -> None:
    store.commit(Changes(tallies={("q", "n", "submitted"): 2, ("q", "m", "failed"): 1}))
    store.commit(Changes(tallies={("a", "n", "died"): 1}))
    assert sorted(store.load().tallied) == ["a", "q"]


def test_tallies_are_added_up(store: Store) -> None:
    store.commit(Changes(touched={}, tallies={("q", "n", "submitted"): 2, ("q", "n", "failed"): 1}))
    store.commit(Changes(tallies={("q", "n", "submitted"): 3, ("a", "n", "died"): 1}))
    told = [(t.queue, t.name, t.kind, t.count) for t in store.tallies()]
    assert told == [("a", "n", "died", 1), ("q", "n", "failed", 1), ("q", "n", "submitted", 5)]


def test_answers_to_calls_are_kept_until_many_others_came(store: Store) -> None:
    assert store.answered("r") is None
    store.commit(Changes(requests={"r": 3, "s": 0}))
    assert (store.answered("r"), store.answered("s"), store.answered("t")) == (3, 0, None)
    store.commit(Changes(requests={f"more-{n}": n for n in range(KEPT_REQUESTS)}))
    store.prune(NOW, NOW - 1e6, 0, 1)
    assert store.answered("r") is store.answered("s") is None
    assert store.answered("more-0") == 0


def test_the_result_of_a_task_that_is_over_is_kept(store: Store) -> None:
    over = a_task(1, Status.COMPLETED, attempt=1)
    goes_on = a_task(2, Status.RETRYING, attempt=1)
    changes = inserted(over, goes_on)
    changes.ended = [an_ending(over, b'{"n":1}'), an_ending(goes_on, None)]
    store.commit(changes)
    assert store.results([1, 2, 99]) == {1: b'{"n":1}'}


def test_logs_and_timeline_are_told_in_order(store: Store) -> None:
    task = a_task(1, Status.RETRYING, attempt=1)
    changes = inserted(task)
    changes.ended = [an_ending(task, None, logs="eins\nzwei ß")]
    changes.timeline = [an_event(1, "attempt_failed"), an_event(2)]
    store.commit(changes)
    task.attempt = 2
    changes = touched(task)
    changes.ended = [an_ending(task, None, logs="")]
    store.commit(changes)
    task.attempt = 3
    changes = touched(task)
    changes.ended = [an_ending(task, b"1", logs="drei")]
    changes.timeline = [an_event(1, "replayed", NOW - 5)]
    store.commit(changes)
    assert store.logs(1) == [(1, "eins\nzwei ß"), (3, "drei")]
    assert store.timeline(1) == [an_event(1, "attempt_failed"), an_event(1, "replayed", NOW - 5)]
    assert (store.logs(99), store.timeline(99)) == ([], [])


@pytest.mark.parametrize(
    "arguments", [b"", b"\x00\xff", '{"args":["größe 日本 \U0001f600"]}'.encode(), b"x" * 1_000_000]
)
def test_arguments_come_back_to_the_byte(store: Store, arguments: bytes) -> None:
    task = a_task(1, arguments=arguments)
    store.commit(inserted(task))
    assert store.load().tasks == [task]
    assert store.get(task.spec.id) == task
    assert store.arguments([1, 99]) == {1: arguments}


def test_moving_a_task_leaves_its_arguments_alone(store: Store) -> None:
    task = a_task(1, arguments=b'{"args":[7]}')
    store.commit(inserted(task))
    store.commit(touched(_move(task, status=Status.CANCELLED, finished_at=NOW)))
    assert store.arguments([1]) == {1: b'{"args":[7]}'}


@pytest.mark.parametrize("text", ["größe", "日本語", "\U0001f600", "a'b\"c\\d%_", "a\x00b", " "])
def test_any_text_comes_back(store: Store, text: str) -> None:
    task = a_task(
        1, name=text, queue=text, idempotency_key=text, tags=(text, text + "2"), request_id=text,
        error=TaskError(text, text, text), worker_id=text, progress=Progress(0.1, text),
    )  # fmt: skip
    store.commit(inserted(task))
    assert store.load().tasks == [task]
    assert store.known([], [text]) == {text: task.spec.id}
    assert [t.seq for t in store.search(TaskQuery(queue=text, name=text, tag=text), 9)] == [1]


# ---- known ---------------------------------------------------------------------------------


def test_ids_and_keys_that_exist_are_known_whatever_became_of_the_task(store: Store) -> None:
    live = a_task(1, idempotency_key="live")
    over = dead_letter(2, idempotency_key="over")
    plain = a_task(3)
    store.commit(inserted(live, over, plain))
    ids = [plain.spec.id, over.spec.id, "no such id"]
    assert store.known(ids, ["live", "over", "no such key"]) == {
        plain.spec.id: plain.spec.id,
        over.spec.id: over.spec.id,
        "live": live.spec.id,
        "over": over.spec.id,
    }
    assert store.known([], []) == {}
    assert store.known(iter([plain.spec.id]), iter(())) == {plain.spec.id: plain.spec.id}


def test_an_id_is_no_key_and_a_key_is_no_id(store: Store) -> None:
    task = a_task(1, idempotency_key="k")
    store.commit(inserted(task))
    assert store.known(["k"], [task.spec.id]) == {}


# ---- all or nothing ------------------------------------------------------------------------


def _rich(*tasks: Task) -> Changes:
    """Changes of every kind."""
    first = tasks[0]
    return Changes(
        inserted=list(tasks),
        ended=[an_ending(first, logs="log")],
        timeline=[an_event(first.seq)],
        queues={"q": True},
        workers={"w9": a_worker("w9")},
        schedules={"s9": a_schedule("s9")},
        tallies={("q", "n", "submitted"): 1},
    )


def test_a_commit_that_fails_leaves_nothing_behind(store: Store) -> None:
    there = a_task(1, idempotency_key="k")
    store.commit(_rich(there))
    before = everything(store)
    new = a_task(2, Status.COMPLETED, attempt=1)
    for broken in (
        a_task(3, id=there.spec.id),
        a_task(3, idempotency_key="k"),
        a_task(1),
        a_task(2),
    ):
        with pytest.raises(StoreError):
            store.commit(_rich(new, broken))
        assert everything(store) == before
    store.commit(_rich(new))
    assert store.get(new.spec.id) == new


def test_two_new_tasks_under_one_key_are_refused_together(store: Store) -> None:
    before = everything(store)
    with pytest.raises(StoreError):
        store.commit(inserted(a_task(1, idempotency_key="k"), a_task(2, idempotency_key="k")))
    assert everything(store) == before


# ---- one writer ----------------------------------------------------------------------------


def test_a_store_in_charge_can_be_written_and_nothing_changes(database: Database) -> None:
    one, two = database.writer(), database.writer()
    one.take_over()
    before = everything(one)
    one.check_writable()
    assert everything(one) == before
    two.take_over()
    with pytest.raises(StaleEpoch):
        one.check_writable()


def test_epochs_grow(database: Database) -> None:
    one, two = database.writer(), database.writer()
    assert [one.take_over(), two.take_over(), one.take_over()] == [1, 2, 3]


@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.commit(inserted(a_task(7))),
        lambda store: store.commit(Changes(queues={"q": True})),
        lambda store: store.delete([1]),
        lambda store: store.prune(NOW + 1e9, NOW + 1e9, 0, 10),
        lambda store: store.prune_workers(NOW + 1e9),
        lambda store: store.keep_sums({(10, 1): EndedSum(1)}, 20.0),
        lambda store: store.declare([], []),
    ],
    ids=["commit", "commit-other", "delete", "prune", "prune-workers", "keep-sums", "declare"],
)
def test_an_older_writer_is_refused_and_writes_nothing(
    database: Database, write: Callable[[Store], object]
) -> None:
    older, newer = database.writer(), database.writer()
    older.take_over()
    changes = inserted(dead_letter(1))
    older.commit(changes)
    newer.take_over()
    before = everything(newer)
    with pytest.raises(StaleEpoch):
        write(older)
    assert everything(newer) == before
    newer.commit(inserted(a_task(2)))
    assert older.load().next_seq == 3  # it may still read


# ---- delete and prune ----------------------------------------------------------------------


def test_what_is_over_can_be_deleted_with_all_that_belongs_to_it(store: Store) -> None:
    task = dead_letter(1, idempotency_key="k", attempt=1)
    changes = inserted(task, dead_letter(2))
    changes.ended = [an_ending(task, b"1", logs="log")]
    changes.timeline = [an_event(1)]
    store.commit(changes)
    assert store.delete([1, 99]) == 1
    assert store.get(task.spec.id) is None
    assert (store.results([1]), store.logs(1), store.timeline(1)) == ({}, [], [])
    assert store.arguments([1, 2]).keys() == {2}
    assert store.known([task.spec.id], ["k"]) == {}
    assert store.delete([1]) == 0
    assert store.delete([]) == 0


@pytest.mark.parametrize("status", [s for s in Status if s not in ("COMPLETED", "FAILED")], ids=str)
def test_only_what_is_over_is_ever_deleted(store: Store, status: Status) -> None:
    task = a_task(1, status)
    store.commit(inserted(task, a_task(2, Status.COMPLETED)))
    over = status in (Status.CANCELLED, Status.EXPIRED)
    assert store.delete([1, 2]) == 1 + over
    assert (store.get(task.spec.id) is None) == over


def test_a_key_is_free_again_after_its_task_is_deleted(store: Store) -> None:
    store.commit(inserted(dead_letter(1, idempotency_key="k")))
    store.delete([1])
    again = a_task(2, idempotency_key="k")
    store.commit(inserted(again))
    assert store.known([], ["k"]) == {"k": again.spec.id}


def test_a_seq_is_never_given_out_twice(database: Database) -> None:
    store = database.writer()
    store.take_over()
    store.commit(inserted(a_task(1, Status.COMPLETED), a_task(2, Status.COMPLETED)))
    store.delete([2])
    assert store.load().next_seq == 3
    store.delete([1])
    again = database.writer()
    again.take_over()
    assert again.load().next_seq == 3
    again.commit(inserted(a_task(3, Status.COMPLETED)))
    again.prune(NOW, NOW + 100, 0, 10)
    assert again.load().next_seq == 4


def test_pruning_forgets_old_endings_oldest_first_in_batches(store: Store) -> None:
    ends = {1: 50, 2: 10, 3: 40, 4: 20, 5: 30}
    tasks = [a_task(seq, Status.COMPLETED, finished_at=NOW + at) for seq, at in ends.items()]
    live = a_task(6, submitted_at=NOW - 1e6)
    store.commit(inserted(*tasks, live))

    def kept() -> set[int]:
        return {task.seq for task in store.search(TaskQuery(), 99)}

    assert store.count_ended() == 5
    assert store.prune(NOW, NOW + 50, 0, 2) == Pruned(tasks=2)
    assert kept() == {1, 3, 5, 6}
    assert store.prune(NOW, NOW + 50, 0, 2) == Pruned(tasks=2)
    assert kept() == {1, 6}  # the one that ended at the limit is kept
    assert store.prune(NOW, NOW + 50, 0, 2) == Pruned()
    assert store.count_ended() == 1


def test_pruning_forgets_the_oldest_endings_beyond_a_number(store: Store) -> None:
    ends = {1: 50, 2: 10, 3: 40, 4: 20, 5: 30}
    tasks = [a_task(seq, Status.COMPLETED, finished_at=NOW + at) for seq, at in ends.items()]
    tasks[1], tasks[3] = dead_letter(2, finished_at=NOW + 10), dead_letter(4, finished_at=NOW + 20)
    store.commit(inserted(*tasks, a_task(6)))

    def kept() -> set[int]:
        return {task.seq for task in store.search(TaskQuery(), 99)}

    assert store.prune(NOW, NOW + 15, 3, 2) == Pruned(tasks=2)
    assert kept() == {1, 3, 5, 6}
    assert store.prune(NOW, NOW + 35, 1, 9) == Pruned(tasks=1)  # it is of both kinds
    assert kept() == {1, 3, 6}
    assert store.prune(NOW, NOW, 9, 9) == Pruned(tasks=2)
    assert kept() == {6}


def test_workers_that_ended_long_ago_are_forgotten(store: Store) -> None:
    lives, recent, old = a_worker("lives"), a_worker("recent"), a_worker("old")
    recent.ended_at, old.ended_at = NOW, NOW - 1
    store.commit(Changes(workers={info.worker_id: info for info in (lives, recent, old)}))
    assert store.prune_workers(NOW) == 1
    assert [info.worker_id for info in store.workers()] == ["lives", "recent"]
    assert store.prune_workers(NOW) == 0


def test_pruning_forgets_results_past_their_time_oldest_first(store: Store) -> None:
    lives = {1: 30.0, 2: 10.0, 3: 20.0}
    tasks = [
        a_task(seq, Status.COMPLETED, finished_at=NOW, result_ttl_seconds=ttl)
        for seq, ttl in lives.items()
    ]
    changes = inserted(*tasks)
    changes.ended = [an_ending(task) for task in tasks]
    store.commit(changes)
    assert store.prune(NOW + 9.9, NOW, 0, 9) == Pruned()
    assert store.prune(NOW + 20, NOW, 0, 1) == Pruned(results=1)
    assert store.results([1, 2, 3]).keys() == {1, 3}
    assert store.prune(NOW + 20, NOW, 0, 9) == Pruned(results=1)
    assert store.results([1, 2, 3]).keys() == {1}
    assert len(store.search(TaskQuery(), 9)) == 3  # the tasks themselves are kept


# ---- the catalogue -------------------------------------------------------------------------


def _type(name: str, doc: str = "") -> TaskType:
    return TaskType(name, (), TaskOptions(), doc)


def test_declaring_replaces_the_pools_and_adds_task_types(store: Store) -> None:
    pools = [Pool("gpu", ("gpu",), ("b",)), Pool("any", ("*",), ("a", "b"), excluded=("gpu",))]
    store.declare(pools, [_type("b"), _type("a")])
    assert store.pools() == [pools[1], pools[0]]
    assert store.task_types() == [_type("a"), _type("b")]
    store.declare([pools[0]], [_type("b", "newer"), _type("c")])
    assert store.pools() == [pools[0]]
    assert store.task_types() == [_type("a"), _type("b", "newer"), _type("c")]
    store.declare([], [])
    assert store.pools() == []
    assert len(store.task_types()) == 3
