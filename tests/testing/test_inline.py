"""Tasks that run as soon as they are submitted."""

import pytest

from task_queue import errors, submit_request
from task_queue.testing import InMemoryQueue
from tests.testing import sample_tasks as tasks


def test_submitting_runs_the_task(inline: InMemoryQueue) -> None:
    handle = inline.submit(tasks.note, (1, 2))
    assert tasks.RAN == [[1, 2]]
    assert (handle.status(), handle.result()) == ("COMPLETED", [1, 2])
    assert inline.map(tasks.note, ["a", "b"]) == ["a", "b"]
    assert inline.map(tasks.fetch, ["u"]) == ["u in attempt 1"]


def test_run_returns_the_value_or_raises(inline: InMemoryQueue, queue: InMemoryQueue) -> None:
    assert inline.run(tasks.note, 7) == 7
    with pytest.raises(errors.TaskFailed, match="ValueError: attempt 4 is not good"):
        inline.run(tasks.flaky, 9)
    with pytest.raises(TimeoutError, match="run_"):
        queue.run(tasks.note, 7)


def test_retries_are_gone_through_and_move_the_clock(inline: InMemoryQueue) -> None:
    start = inline.clock.now()
    assert inline.submit(tasks.flaky, 4).result() == 4
    assert inline.clock.now() - start == 10 + 20 + 40


def test_a_failure_is_raised_by_the_handle(inline: InMemoryQueue) -> None:
    handle = inline.submit(tasks.flaky, 9)
    with pytest.raises(errors.TaskFailed, match="ValueError: attempt 4 is not good"):
        handle.result()
    assert handle.task().attempt == 4 and handle.task().in_dlq
    with pytest.raises(errors.TaskFailed):
        inline.map(tasks.flaky, [1, 9])
    (good, bad) = inline.map(tasks.flaky, [1, 9], return_exceptions=True)
    assert good == 1 and isinstance(bad, errors.TaskFailed)


def test_a_wrong_call_does_not_get_so_far(inline: InMemoryQueue) -> None:
    with pytest.raises(errors.InvalidRequest, match="too many positional"):
        inline.submit("testing.note", 1, 2)


def test_delays_wait_for_the_clock(inline: InMemoryQueue) -> None:
    handle = inline.submit(tasks.note.options(delay_seconds=60), "late")
    assert tasks.RAN == []
    inline.advance(60)
    assert handle.result() == "late"


def test_schedules_run_when_the_clock_is_moved(inline: InMemoryQueue) -> None:
    inline.save_schedule(submit_request(tasks.note, "tick"), interval_seconds=60)
    inline.advance(200)
    assert tasks.RAN == ["tick"] * 3
    assert inline.clock.now() == 1_700_000_200


def test_a_paused_queue_runs_when_it_is_resumed(inline: InMemoryQueue) -> None:
    inline.pause_queue("notes")
    handle = inline.submit(tasks.note, "a")
    assert handle.status() == "QUEUED"
    inline.resume_queue("notes")
    assert handle.result() == "a"


def test_a_replay_runs_again(inline: InMemoryQueue) -> None:
    handle = inline.submit(tasks.unwanted)
    assert handle.task().attempt == 1
    assert inline.dlq_replay().count == 1
    assert handle.task().attempt == 2
    assert handle.retry().attempt == 3
