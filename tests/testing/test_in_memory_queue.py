"""Tasks that run when the test says so: order, time, retries, steering."""

import math

import pytest

from task_queue import errors, submit_request
from task_queue.core.status import PRIORITY_MAX
from task_queue.testing import FakeClock, InMemoryQueue
from task_queue.wire import TaskFilter
from tests.testing import sample_tasks as tasks


def test_nothing_runs_until_it_is_told_to(queue: InMemoryQueue) -> None:
    handle = queue.submit(tasks.note, "a")
    assert (handle.status(), tasks.RAN) == ("QUEUED", [])
    view = queue.run_next()
    assert view is not None and (view.task_id, view.status) == (handle.task_id, "COMPLETED")
    assert (handle.result(), tasks.RAN) == ("a", ["a"])
    assert queue.run_next() is None


def test_what_is_submitted_after_an_idle_look_waits_too(queue: InMemoryQueue) -> None:
    assert queue.run_all() == 0
    handle = queue.submit(tasks.note, "a")
    assert handle.status() == "QUEUED"
    assert queue.run_all() == 1


def test_priorities_are_strict_and_first_come_first_served(queue: InMemoryQueue) -> None:
    for what, priority in (("a", 1), ("b", PRIORITY_MAX), ("c", 1), ("d", 5)):
        queue.submit(tasks.note.options(priority=priority), what)
    assert queue.run_all() == 4
    assert tasks.RAN == ["b", "d", "a", "c"]


def test_arguments_and_results_go_through_json(queue: InMemoryQueue) -> None:
    handle = queue.submit(tasks.note, (1, {"a": (2,)}))
    queue.run_all()
    assert tasks.RAN == [[1, {"a": [2]}]]
    assert handle.result() == [1, {"a": [2]}]
    with pytest.raises(errors.NotJsonError, match="argument 'what'"):
        queue.submit(tasks.note, {1})
    wrong = queue.submit(tasks.returns, "set")
    queue.run_all()
    with pytest.raises(errors.TaskFailed, match=r"NotJsonError: result is a set.*sorted"):
        wrong.result()


def test_a_result_may_be_too_large() -> None:
    with InMemoryQueue(max_result_bytes=100) as queue:
        handle = queue.submit(tasks.returns, "large")
        queue.run_all()
        with pytest.raises(errors.TaskFailed, match=r"raise limits\.max_result_bytes"):
            handle.result()


# --- time


def test_back_offs_end_when_the_clock_says_so(queue: InMemoryQueue) -> None:
    handle = queue.submit(tasks.flaky, 3)
    for wait in (10, 20):  # the whole of the back-off: random draws 1
        assert queue.run_all() == 1
        assert handle.status() == "RETRYING"
        queue.advance(wait - 0.001)
        assert queue.run_next() is None
        queue.advance(0.001)
        assert handle.status() == "QUEUED"
    queue.run_all()
    assert handle.result() == 3
    assert [event.kind for event in handle.events()] == [
        "submitted", "attempt_failed", "attempt_failed", "claimed", "started", "completed",
    ]  # fmt: skip


def test_the_jitter_of_back_offs_can_be_drawn() -> None:
    with InMemoryQueue(random=lambda: 0.0) as queue:
        handle = queue.submit(tasks.flaky, 2)
        queue.run_all()
        queue.advance(5)
        assert handle.status() == "QUEUED"


def test_a_task_may_choose_its_wait(queue: InMemoryQueue) -> None:
    handle = queue.submit(tasks.later, 3_600)
    queue.run_all()
    queue.advance(3_599)
    assert handle.status() == "RETRYING"
    queue.advance(1)
    queue.run_all()
    with pytest.raises(errors.TaskFailed, match="Retry: not yet"):
        handle.result()


def test_delays_and_expiry(queue: InMemoryQueue) -> None:
    delayed = queue.submit(tasks.note.options(delay_seconds=60), "late")
    expiring = queue.submit(tasks.note.options(expires_at="2023-11-14T22:13:50Z"), "never")
    queue.advance(29)
    assert (delayed.status(), expiring.status()) == ("SCHEDULED", "QUEUED")
    queue.advance(31)
    assert (delayed.status(), expiring.status()) == ("QUEUED", "EXPIRED")
    queue.run_all()
    assert tasks.RAN == ["late"]
    with pytest.raises(errors.TaskExpired):
        expiring.result()


def test_a_clock_that_is_moved_by_itself_counts_too() -> None:
    clock = FakeClock()
    with InMemoryQueue(clock=clock) as queue:
        handle = queue.submit(tasks.note.options(delay_seconds=60), "a")
        clock.advance(100_000)  # longer than any worker may be silent
        assert handle.status() == "QUEUED"
        assert queue.run_all() == 1


def test_schedules_submit_at_their_times(queue: InMemoryQueue) -> None:
    request = submit_request(tasks.note, "tick")
    queue.save_schedule(request, id="often", interval_seconds=60, overlap="allow")
    queue.save_schedule(submit_request(tasks.note, "day"), id="daily", cron="0 6 * * *")
    queue.advance(180)
    assert queue.run_all() == 3
    queue.delete_schedule("often")
    queue.advance(86_400)
    assert queue.run_all() == 1
    assert tasks.RAN == ["tick"] * 3 + ["day"]
    (daily,) = queue.schedules()
    assert (daily.id, daily.runs, daily.next_run_at) == ("daily", 1, "2023-11-16T06:00:00.000Z")
    with pytest.raises(errors.NotFound):
        queue.delete_schedule("often")


def test_a_firing_is_skipped_while_the_last_one_is_not_over(queue: InMemoryQueue) -> None:
    queue.save_schedule(submit_request(tasks.note, "tick"), interval_seconds=60)
    queue.advance(180)
    assert (queue.run_all(), queue.schedules()[0].skips) == (1, 2)


def test_results_have_a_time_to_live(queue: InMemoryQueue) -> None:
    handle = queue.submit(tasks.kept)
    queue.run_all()
    queue.advance(59)
    assert queue.result(handle.task_id) == 1
    queue.advance(1)
    with pytest.raises(errors.ResultGone):
        handle.result()


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf])
def test_the_clock_moves_forwards(queue: InMemoryQueue, seconds: float) -> None:
    with pytest.raises(ValueError, match="give seconds, 0 or more"):
        queue.advance(seconds)


def test_attempts_can_take_time() -> None:
    with InMemoryQueue(attempt_seconds=0.25) as queue:
        queue.submit_many(tasks.note, [("a",), ("b",)])
        first, second = queue.run_next(), queue.run_next()
        assert first is not None and second is not None
        assert first.finished_at == second.started_at == "2023-11-14T22:13:20.250Z"


# --- waiting


def test_waiting_never_waits_and_says_what_to_do(queue: InMemoryQueue) -> None:
    queued = queue.submit(tasks.note, "a")
    with pytest.raises(TimeoutError, match=r"is QUEUED.*call run_all\(\) first"):
        queued.result()
    with pytest.raises(TimeoutError, match="is QUEUED, not over after 0 s"):
        queued.result(timeout=0)
    with pytest.raises(TimeoutError, match="run_all"):
        queue.map(tasks.note, ["b"])
    delayed = queue.submit(tasks.note.options(delay_seconds=60), "late")
    with pytest.raises(TimeoutError, match=r"is SCHEDULED.*advance\(60\)"):
        delayed.result(timeout=5)
    assert queue.clock.now() == FakeClock().now()


def test_many(queue: InMemoryQueue) -> None:
    handles = queue.submit_many(tasks.note, [(i,) for i in range(250)])
    assert queue.run_all() == 250
    assert queue.gather(handles) == list(range(250))
    assert [handle.task_id for handle in queue.as_completed(handles[:2])] == [
        handle.task_id for handle in handles[:2]
    ]


# --- steering


def test_cancel_retry_and_the_dead_letter_queue(queue: InMemoryQueue) -> None:
    cancelled = queue.submit(tasks.note, "a")
    assert cancelled.cancel().status == "CANCELLED"
    with pytest.raises(errors.Conflict, match="is CANCELLED: what is over cannot be cancelled"):
        cancelled.cancel()
    with pytest.raises(errors.TaskCancelled):
        cancelled.result()
    assert cancelled.retry().status == "QUEUED"
    with pytest.raises(errors.Conflict, match="is QUEUED"):
        cancelled.retry()
    failed = queue.submit(tasks.unwanted)
    queue.run_all()
    assert cancelled.result() == "a"
    assert [view.task_id for view in queue.list_tasks(in_dlq=True)] == [failed.task_id]
    assert queue.dlq_replay(dry_run=True).count == 1
    assert queue.dlq_replay().count == 1 and failed.status() == "QUEUED"
    queue.run_all()
    assert queue.dlq_purge(TaskFilter(name="another")).count == 0
    assert queue.dlq_purge(TaskFilter(name="testing.unwanted")).count == 1
    with pytest.raises(errors.NotFound):
        failed.status()


def test_pause_resume_and_purge_of_queues(queue: InMemoryQueue) -> None:
    queue.submit_many(tasks.note, [("a",), ("b",)])
    assert queue.pause_queue("notes").paused
    assert queue.run_all() == 0
    assert not queue.resume_queue("notes").paused
    queue.run_next()
    assert queue.purge_queue("notes").count == 1
    assert queue.run_all() == 0


def test_idempotency_keys(queue: InMemoryQueue) -> None:
    request = submit_request(tasks.note.options(idempotency_key="k"), "a")
    first, second = queue.submit_many([request, request])
    queue.run_all()
    (third,) = queue.submit_many([request])
    assert first == second == third and queue.run_all() == 0


def test_lists_and_searches(queue: InMemoryQueue) -> None:
    handles = queue.submit_many(tasks.note.options(tags=["x"]), [(i,) for i in range(150)])
    queue.submit(tasks.kept)
    newest_first = [handle.task_id for handle in reversed(handles)]
    assert [view.task_id for view in queue.list_tasks(queue="notes")] == newest_first
    assert [v.task_id for v in queue.search(tag="x", limit=120)] == newest_first[:120]
    assert not list(queue.search("kept", submitted_to="2023-11-14T22:13:20Z"))
    assert len(list(queue.search("kept", submitted_from="2023-11-14T22:13:20Z"))) == 1
    assert not list(queue.list_tasks(status="COMPLETED,FAILED"))
    with pytest.raises(errors.InvalidRequest, match="give one of SCHEDULED, QUEUED"):
        list(queue.list_tasks(status="DONE"))
