"""Results: of one task, of many as they end, and in order."""

import pickle
from typing import Any

import httpx
import pytest

from task_queue import errors
from task_queue.client.client import Client
from task_queue.testing import FakeClock
from tests.client.example_tasks import add, fetch, thumbnail
from tests.client.fake_api import FakeApi

TRACEBACK = 'Traceback (most recent call last):\n  File "job.py", line 3\nValueError: bad picture\n'


def test_a_result_costs_one_request_and_is_remembered(api: FakeApi, client: Client) -> None:
    api.runs = lambda request: sum(request["args"])
    handle = client.submit(add, 1, 2)
    assert handle.result() == 3 == handle.result()
    assert api.paths() == ["POST /api/v1/tasks", "POST /api/v1/tasks/results"]
    assert repr(handle) == f"<TaskHandle math.add {handle.task_id} COMPLETED>"


def test_run_submits_and_waits_in_one_request(api: FakeApi, client: Client) -> None:
    api.runs = lambda request: sum(request["args"])
    assert client.run(add, 1, 2) == 3
    assert client.run("math.add", 2, 2) == 4
    assert api.paths() == ["POST /api/v1/tasks/run"] * 2
    keys = [body["idempotency_key"] for body in api.bodies]
    assert len(set(keys)) == 2 and all(key.startswith("run-0") for key in keys)


def test_run_goes_on_waiting_for_a_long_task(
    api: FakeApi, client: Client, clock: FakeClock
) -> None:
    api.runs = None
    api.while_waiting = lambda _seconds: api.finish("task-00000", "done")
    assert client.run("a.task", idempotency_key="mine") == "done"
    assert api.bodies[0]["idempotency_key"] == "mine"
    assert api.paths() == ["POST /api/v1/tasks/run", "POST /api/v1/tasks/results"]


def test_run_sends_again_what_was_cut_off_and_it_runs_once(api: FakeApi, client: Client) -> None:
    api.breaks_after = httpx.ReadError("reset")
    assert client.run("a.task", 1) == [1]
    assert len(api.tasks) == 1
    assert api.paths() == ["POST /api/v1/tasks/run"] * 2


def test_run_raises_what_the_task_ended_with(api: FakeApi, client: Client) -> None:
    api.runs = None
    api.while_waiting = lambda _seconds: api.fail("task-00000", traceback=TRACEBACK)
    with pytest.raises(errors.TaskFailed, match="ValueError: bad picture"):
        client.run("a.task")


@pytest.mark.parametrize("value", [None, 0, "", [], {"a": [1.5, None]}, "Grüße"])
def test_values_come_back_as_they_were(api: FakeApi, client: Client, value: Any) -> None:
    api.runs = lambda request: value
    assert client.submit("a.task").result() == value


def test_it_waits_as_long_as_it_takes(api: FakeApi, client: Client, clock: FakeClock) -> None:
    api.runs = None
    handle = client.submit("a.task")
    start = clock.now()

    def pass_time(seconds: float) -> None:
        clock.advance(seconds)
        if clock.now() - start >= 90:
            api.finish(handle.task_id, "done")

    api.while_waiting = pass_time
    assert handle.result() == "done"
    assert len(api.requests) == 1 + 3  # of 30 s each


def test_a_time_out_names_the_status_and_leaves_the_task(
    api: FakeApi, client: Client, clock: FakeClock
) -> None:
    api.runs = None
    handle = client.submit("a.task")
    start = clock.now()
    with pytest.raises(
        TimeoutError, match=rf"task {handle.task_id} is QUEUED, not over after 45 s"
    ):
        handle.result(timeout=45)
    assert clock.now() - start == 45
    assert api.tasks[handle.task_id]["status"] == "QUEUED"
    api.finish(handle.task_id, 7)
    assert handle.result(timeout=0) == 7


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("FAILED", errors.TaskFailed),
        ("CANCELLED", errors.TaskCancelled),
        ("EXPIRED", errors.TaskExpired),
    ],
)
def test_a_task_without_a_result_raises(
    api: FakeApi, client: Client, status: str, kind: type[errors.TaskDidNotSucceed]
) -> None:
    api.runs = None
    handle = client.submit("a.task")
    api.fail(handle.task_id, status)
    with pytest.raises(kind, match=handle.task_id) as caught:
        handle.result()
    assert type(caught.value) is kind


def test_a_failure_shows_the_workers_traceback(api: FakeApi, client: Client) -> None:
    api.runs = None
    handle = client.submit("a.task")
    api.fail(handle.task_id, traceback=TRACEBACK)
    with pytest.raises(errors.TaskFailed) as caught:
        handle.result()
    assert str(caught.value) == f"task {handle.task_id}: ValueError: bad picture"
    assert caught.value.traceback == TRACEBACK
    copy = pickle.loads(pickle.dumps(caught.value))
    assert TRACEBACK.rstrip() in copy.__notes__[0]


def test_a_deleted_result_is_not_taken_for_null(api: FakeApi, client: Client) -> None:
    handle = client.submit("a.task")
    api.drop_result(handle.task_id)
    with pytest.raises(errors.ResultGone, match="time to live"):
        handle.result()


def test_as_completed_follows_the_order_of_ending(api: FakeApi, client: Client) -> None:
    api.runs = None
    handles = client.submit_many("a.task", [(i,) for i in range(4)])
    order = [2, 0, 3, 1]
    left = iter(order)
    api.while_waiting = lambda seconds: api.finish(handles[next(left)].task_id)
    seen = [handles.index(handle) for handle in client.as_completed(handles)]
    assert seen == order
    assert api.paths()[1:] == ["POST /api/v1/tasks/results"] * 4
    for handle in handles:
        handle.result()
    assert len(api.requests) == 5  # the results were there


def test_as_completed_times_out_with_the_rest(
    api: FakeApi, client: Client, clock: FakeClock
) -> None:
    api.runs = None
    handles = client.submit_many("a.task", [(i,) for i in range(3)])
    api.finish(handles[1].task_id)
    seen = []
    with pytest.raises(TimeoutError, match=f"2 of 3 tasks.*{handles[0].task_id}, is QUEUED"):
        for handle in client.as_completed(handles, timeout=10):
            seen.append(handle)
    assert seen == [handles[1]]


def test_several_handles_of_one_task_all_come(api: FakeApi, client: Client) -> None:
    handles = [client.submit("a.task", idempotency_key="k") for _ in range(3)]
    assert len(api.tasks) == 1
    assert len(list(client.as_completed(handles))) == 3
    assert client.gather(handles) == [[], [], []]
    assert len(api.requests) == 4


def test_map_keeps_the_order(api: FakeApi, client: Client) -> None:
    api.runs = None

    def end_last_first(seconds: float) -> None:
        waiting = [i for i in api.tasks if i not in api.outcomes]
        number = int(waiting[-1].removeprefix("task-"))
        api.finish(waiting[-1], number * 10)

    api.while_waiting = end_last_first
    assert client.map(add, range(5), range(5)) == [0, 10, 20, 30, 40]
    assert [task["args"] for task in api.bodies[0]["tasks"]] == [[i, i] for i in range(5)]


def test_map_over_fifty_thousand_is_cheap(api: FakeApi, client: Client) -> None:
    assert len(client.map(fetch, map(str, range(50_000)))) == 50_000
    assert len(api.requests) == 50 + 25
    assert max(len(body.get("task_ids", ())) for body in api.bodies) == 2_000


def test_map_refuses_iterables_of_different_lengths(api: FakeApi, client: Client) -> None:
    with pytest.raises(ValueError):
        client.map(add, [1, 2], [1])
    assert api.requests == []


def test_map_raises_the_first_failure_and_says_what_goes_on(api: FakeApi, client: Client) -> None:
    api.runs = None

    def fail_the_second(seconds: float) -> None:
        api.fail("task-00001")

    api.while_waiting = fail_the_second
    with pytest.raises(errors.TaskFailed, match="task-00001") as caught:
        client.map(thumbnail, ["a", "b", "c"])
    assert any("2 of 3 tasks" in note and "go on" in note for note in caught.value.__notes__)
    assert api.tasks["task-00000"]["status"] == "QUEUED"


def test_map_can_return_the_failures(api: FakeApi, client: Client) -> None:
    api.runs = None

    def end_all(seconds: float) -> None:
        api.finish("task-00000", 1)
        api.fail("task-00001")
        api.finish("task-00002", 3)

    api.while_waiting = end_all
    first, second, third = client.map(thumbnail, ["a", "b", "c"], return_exceptions=True)
    assert (first, third) == (1, 3)
    assert isinstance(second, errors.TaskFailed)


def test_ctrl_c_in_map_leaves_the_tasks_and_says_so(api: FakeApi, client: Client) -> None:
    api.runs = None

    def interrupt(seconds: float) -> None:
        api.finish("task-00000", 1)
        api.while_waiting = press_ctrl_c

    def press_ctrl_c(seconds: float) -> None:
        raise KeyboardInterrupt

    api.while_waiting = interrupt
    with pytest.raises(KeyboardInterrupt) as caught:
        client.map(thumbnail, ["a", "b", "c"])
    (note,) = caught.value.__notes__
    assert "2 of 3 tasks" in note and "nothing was cancelled" in note
    assert not any("cancel" in path for path in api.paths())


def test_ctrl_c_while_submitting_says_what_was_accepted(api: FakeApi) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if len(api.requests) == 1:
            raise KeyboardInterrupt
        return api(request)

    with (
        Client("http://q", transport=httpx.MockTransport(answer)) as client,
        pytest.raises(KeyboardInterrupt) as caught,
    ):
        client.map(thumbnail, ["a"] * 1_500)
    assert "first 1,000 tasks were accepted" in caught.value.__notes__[0]


def test_a_retried_task_is_waited_for_again(api: FakeApi, client: Client) -> None:
    api.runs = None
    handle = client.submit("a.task")
    api.fail(handle.task_id)
    with pytest.raises(errors.TaskFailed):
        handle.result()
    assert handle.retry().status == "QUEUED"
    api.finish(handle.task_id, "now")
    assert handle.result() == "now"


def test_a_handle_asks_its_client(api: FakeApi, client: Client) -> None:
    api.runs = None
    task_id = client.submit("a.task").task_id
    handle = client.handle(task_id)
    assert handle == client.handle(task_id) and len({handle, client.handle(task_id)}) == 1
    assert handle != client.handle("other")
    assert handle.status() == "QUEUED" and handle.task().task_id == task_id
    assert handle.cancel().status == "CANCELLED"
    with pytest.raises(errors.Conflict, match="CANCELLED"):
        handle.cancel()
