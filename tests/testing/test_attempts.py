"""One attempt in the process of a test: what it can do, and what is told of it."""

import sys

import pytest
from rich.pretty import pretty_repr

from task_queue import current_task, errors, task
from task_queue.context import NoCurrentTask
from task_queue.testing import InMemoryQueue
from tests.testing import sample_tasks as tasks


def test_a_failure_has_the_tasks_own_traceback(queue: InMemoryQueue) -> None:
    handle = queue.submit(tasks.flaky.options(max_retries=0), 2)
    queue.run_all()
    with pytest.raises(errors.TaskFailed, match="ValueError: attempt 1 is not good") as caught:
        handle.result()
    assert "sample_tasks.py" in caught.value.traceback
    assert "in_process_worker" not in caught.value.traceback


def test_a_coroutine_function_is_awaited(queue: InMemoryQueue) -> None:
    handle, failing = queue.submit(tasks.fetch, "http://a"), queue.submit(tasks.fetch_nothing)
    queue.run_all()
    assert handle.result() == "http://a in attempt 1"
    with pytest.raises(errors.TaskFailed, match="LookupError: nothing there") as caught:
        failing.result()
    assert "in_process_worker" not in caught.value.traceback


@pytest.mark.anyio
async def test_a_test_may_be_a_coroutine_itself(queue: InMemoryQueue) -> None:
    client = queue.async_client()
    handle = await client.submit(tasks.fetch, "http://a")
    with pytest.raises(TimeoutError, match="run_all"):
        await handle.result()
    queue.run_all()
    assert await handle.result() == "http://a in attempt 1"
    assert await client.status(handle.task_id) == queue.status(handle.task_id) == "COMPLETED"


def test_progress_and_output(queue: InMemoryQueue, capsys: pytest.CaptureFixture[str]) -> None:
    handle = queue.submit(tasks.steps, 2)
    queue.run_all()
    assert [note.progress.fraction for note in queue.progress] == [0.5, 1.0]
    progress = handle.task().progress
    assert progress is not None and progress.message == "step 2"
    assert [log.text for log in handle.logs()] == ["printed 1\nprinted 2\nto stderr\n"]
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("printed 1\nprinted 2\n", "to stderr\n")


def test_what_ends_a_process_ends_the_attempt_only(queue: InMemoryQueue) -> None:
    handle = queue.submit(tasks.exits)
    queue.run_all()
    with pytest.raises(errors.TaskFailed, match="SystemExit: the end"):
        handle.result()


def test_ctrl_c_ends_the_test(queue: InMemoryQueue) -> None:
    stdout = sys.stdout
    queue.submit(tasks.interrupted)
    with pytest.raises(KeyboardInterrupt):
        queue.run_all()
    assert sys.stdout is stdout
    with pytest.raises(NoCurrentTask):
        current_task()


_QUEUES: list[InMemoryQueue] = []


@task(name="testing.parent", retry_base_seconds=1.0)
def parent(what: str) -> str:
    """Submit a task and use its result, which a worker with one slot could not do."""
    (queue,) = _QUEUES
    child = queue.submit(tasks.note, what)
    queue.run_all()
    return f"{current_task().id} had {child.result()}"


@task(name="testing.ends_itself")
def ends_itself() -> None:
    """Ask for its own end, and go on to fail."""
    (queue,) = _QUEUES
    assert queue.cancel(current_task().id).status == "RUNNING"
    raise ValueError("stopped")


@pytest.fixture
def visible(queue: InMemoryQueue) -> InMemoryQueue:
    """A queue that tasks can find."""
    _QUEUES[:] = [queue]
    return queue


def test_a_task_may_run_others(visible: InMemoryQueue) -> None:
    handle = visible.submit(parent, "x")
    visible.run_all()
    assert handle.result() == f"{handle.task_id} had x"


def test_a_running_task_can_be_cancelled(visible: InMemoryQueue) -> None:
    handle = visible.submit(ends_itself)
    assert visible.run_all() == 1
    assert handle.status() == "CANCELLED"


@task(name="testing.shows_itself")
def shows_itself(_secret: str) -> list[str]:
    """Look at the task as a print would, and as rich's."""
    return [repr(current_task()), pretty_repr(current_task())]


def test_what_a_task_prints_of_itself_has_no_arguments(queue: InMemoryQueue) -> None:
    handle = queue.submit(shows_itself, "hunter2")
    queue.run_all()
    assert handle.result() == [f"<task {handle.task_id}, attempt 1>"] * 2
