"""Tasks that complete side by side in one turn: a store may save them together."""

import pytest

from task_queue.core.effects import Changes
from task_queue.core.status import Status
from task_queue.store.protocol import Pruned, Store
from task_queue.store.query import TaskQuery
from tests.store.databases import NOW, a_task, an_ending, inserted


def _completed_in_sequence(first: int, count: int, results: list[bytes]) -> Changes:
    """Tasks that were leased together and completed in one turn, at different times of start."""
    tasks = [
        a_task(
            seq, Status.COMPLETED, attempt=1, worker_id="w1", claimed_at=NOW,
            started_at=NOW + seq / 7, finished_at=NOW + 99, result_ttl_seconds=10.0,
        )
        for seq in range(first, first + count)
    ]  # fmt: skip
    changes = inserted(*tasks)
    changes.ended = [an_ending(*pair) for pair in zip(tasks, results, strict=True)]
    return changes


@pytest.mark.parametrize("different", [False, True], ids=["alike", "all-different"])
def test_tasks_that_completed_in_sequence_are_told_apart(store: Store, different: bool) -> None:
    results = [b"%d" % (n if different else 1) for n in range(20)]
    changes = _completed_in_sequence(1, 20, results)
    store.commit(changes)
    by_seq = {task.seq: task for task in store.search(TaskQuery(), 99)}
    assert {seq: task.started_at for seq, task in by_seq.items()} == {
        task.seq: task.started_at for task in changes.inserted
    }
    assert {(t.worker_id, t.claimed_at, t.finished_at, t.attempt) for t in by_seq.values()} == {
        ("w1", NOW, NOW + 99, 1)
    }
    assert store.results(range(1, 21)) == dict(zip(range(1, 21), results, strict=True))


@pytest.mark.parametrize("different", [False, True], ids=["alike", "all-different"])
def test_results_of_tasks_in_sequence_go_at_their_time_in_batches(
    store: Store, different: bool
) -> None:
    results = [b"%d" % (n if different else 1) for n in range(20)]
    store.commit(_completed_in_sequence(1, 20, results))
    assert store.prune(NOW + 108, NOW, 0, 99) == Pruned()
    assert store.prune(NOW + 109, NOW, 0, 12) == Pruned(results=12)
    assert len(store.results(range(1, 21))) == 8
    assert store.delete([20]) == 1
    assert store.prune(NOW + 109, NOW, 0, 99) == Pruned(results=7)
    assert store.results(range(1, 21)) == {}
    assert store.prune(NOW + 109, NOW, 0, 99) == Pruned()
    assert len(store.search(TaskQuery(), 99)) == 19  # the tasks themselves are kept


def test_a_few_in_sequence_without_a_result_keep_none(store: Store) -> None:
    changes = _completed_in_sequence(1, 20, [b"1"] * 20)
    changes.ended = changes.ended[:10]
    store.commit(changes)
    assert store.results(range(1, 21)).keys() == set(range(1, 11))
    assert store.prune(NOW + 109, NOW, 0, 99) == Pruned(results=10)


def test_what_ended_at_one_moment_comes_in_the_order_of_seq(store: Store) -> None:
    # Of one turn, and of two at the same time, between each other.
    store.commit(_completed_in_sequence(1, 12, [b"1"] * 12))
    store.commit(_completed_in_sequence(30, 12, [b"1"] * 12))
    store.commit(_completed_in_sequence(15, 3, [b"1"] * 3))
    order = [*range(1, 13), 15, 16, 17, *range(30, 42)]
    assert [task.seq for task in store.ended_after((0.0, 0), 99)] == order
    assert [task.seq for task in store.ended_after((NOW + 99, 10), 5)] == order[10:15]
    assert [row.seq for row in store.ended((NOW + 99, 16), NOW + 100, 99)] == order[14:]
    assert store.ended((NOW + 99, 41), NOW + 100, 99) == []
    assert store.last_ended() == (NOW + 99, 41)

    assert store.delete([1, 2, 16, 40, 41]) == 5
    assert [task.seq for task in store.ended_after((NOW + 99, 10), 99)] == [
        11, 12, 15, 17, *range(30, 40),
    ]  # fmt: skip
    assert store.prune(NOW + 500, NOW + 99, 4, 99).tasks == 4  # the oldest
    assert [task.seq for task in store.ended_after((0.0, 0), 4)] == [7, 8, 9, 10]
