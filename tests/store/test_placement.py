"""Where a task stands, and where nobody need look for it."""

from task_queue.core.effects import Changes
from task_queue.core.status import Status
from task_queue.core.task import Task
from task_queue.store.placement import Placements
from tests.store.databases import NOW, a_task, inserted, touched


def _leased(task: Task) -> Changes:
    task.status, task.attempt, task.worker_id, task.claimed_at = Status.RUNNING, 1, "w1", NOW
    changes = touched(task)
    changes.leased = {task.seq: task}
    return changes


def _completed(task: Task) -> Changes:
    task.status, task.started_at, task.finished_at = Status.COMPLETED, NOW, NOW + 1
    return touched(task)


def test_what_ends_as_it_was_leased_is_looked_for_nowhere_else() -> None:
    placements, task = Placements(), a_task(1)
    assert placements.of(inserted(task)).waiting == [1]
    claim = placements.of(_leased(task))
    assert (claim.leased, claim.not_waiting, claim.not_in_states) == ([task], [1], [1])
    end = placements.of(_completed(task))
    assert (end.completed, end.not_leased) == ([task], [1])
    assert (end.not_waiting, end.not_in_states) == ([], [])


def test_what_is_not_known_is_looked_for_everywhere() -> None:
    placements, task = Placements(), a_task(1)
    placements.of(_leased(task))
    placements.forget()
    end = placements.of(_completed(task))
    assert (end.not_waiting, end.not_leased, end.not_in_states) == ([1], [1], [1])


def test_a_lease_of_which_more_is_to_be_told_keeps_its_row_in_states() -> None:
    placements, task = Placements(), a_task(1, failures=1)
    assert placements.of(_leased(task)).not_in_states == []
    task.failures = 0
    assert placements.of(_completed(task)).not_in_states == [1]
