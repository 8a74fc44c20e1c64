"""What the in-memory queue refuses, and how it says so."""

from typing import Any

import pytest

from task_queue import errors
from task_queue.testing import InMemoryQueue
from tests.testing import sample_tasks as tasks


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (("testing.nothing",), "no task is called 'testing.nothing'.*import the module"),
        (("testing.note",), r"args: testing.note\(.*missing a required argument: 'what'"),
        (("testing.note", 1, 2), "too many positional"),
    ],
)
def test_a_call_that_fits_no_task_is_refused(
    queue: InMemoryQueue, call: tuple[Any, ...], complaint: str
) -> None:
    with pytest.raises(errors.InvalidRequest, match=complaint):
        queue.submit(*call)


@pytest.mark.parametrize(
    "options",
    [
        {"priority": 10}, {"max_retries": -1}, {"delay_seconds": -1}, {"timeout_seconds": 0},
        {"tags": [""]}, {"delay_seconds": 1, "run_at": "2026-01-25T14:00:00Z"},
    ],
)  # fmt: skip
def test_options_out_of_range_are_refused(queue: InMemoryQueue, options: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidRequest):
        queue.submit("testing.note", 1, **options)
    assert not list(queue.list_tasks())


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "exactly one of cron and interval_seconds"),
        ({"cron": "* * *"}, r"cron '\* \* \*'"),
        ({"cron": "0 6 * * *", "timezone": "Mars"}, "timezone 'Mars'"),
    ],
)
def test_schedules_that_cannot_be_are_refused(
    queue: InMemoryQueue, options: Any, complaint: str
) -> None:
    with pytest.raises(errors.InvalidRequest, match=complaint):
        queue.save_schedule(tasks.kept, **options)
    with pytest.raises(errors.InvalidRequest, match=r"task\.delay_seconds"):
        queue.save_schedule(tasks.kept.options(delay_seconds=1), interval_seconds=60)
    assert queue.schedules() == []


def test_what_belongs_to_a_deployed_queue_is_refused(queue: InMemoryQueue) -> None:
    with pytest.raises(errors.RequestRefused, match=r"GET /api/v1/workers.*deployed queue") as told:
        queue.workers()
    assert told.value.status == 501
    with pytest.raises(errors.RequestRefused, match="deployed queue"):
        next(queue.stream_events())


def test_tasks_without_end_are_noticed(queue: InMemoryQueue) -> None:
    queue.submit_many(tasks.note, [(i,) for i in range(4)])
    with pytest.raises(RuntimeError, match="3 attempts were run"):
        queue.run_all(limit=3)
