"""Looking at one task, waiting for it, its result, its story, cancel and retry."""

import asyncio
from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace

from serve_app.results import end_view
from task_queue.core.status import Outcome, Status
from task_queue.core.task import Report, TaskError
from task_queue.ids import new_task_id
from task_queue.scheduler_api import Ended, SchedulerUnavailable
from task_queue.store.protocol import StoreError
from task_queue.stream.outcome import CallFailed
from task_queue.testing import task_spec
from tests.serve_app.api_world import TASKS, Between, World, problem
from tests.serve_app.conftest import MakeWorld

pytestmark = pytest.mark.anyio


class TestIds:
    @pytest.mark.parametrize("tail", ["", "/result", "/events", "/logs"])
    async def test_unknown(self, world: World, tail: str) -> None:
        task_id = new_task_id(world.clock.now())
        assert task_id in problem(await world.http.get(f"{TASKS}/{task_id}{tail}"), 404)

    @pytest.mark.parametrize("verb", ["cancel", "retry"])
    async def test_unknown_to_change(self, world: World, verb: str) -> None:
        task_id = new_task_id(world.clock.now())
        assert task_id in problem(await world.http.post(f"{TASKS}/{task_id}/{verb}"), 404)

    @pytest.mark.parametrize("task_id", ["1", "550e8400-e29b-41d4-a716-446655440000", "x" * 5_000])
    async def test_malformed(self, world: World, task_id: str) -> None:
        detail = problem(await world.http.get(f"{TASKS}/{task_id}"), 404)
        assert "is not a task id: one looks like 019b" in detail
        assert len(detail) < 600


class TestRunning:
    async def test_submits_and_answers_with_the_end(self, world: World) -> None:
        await world.worker()
        running = asyncio.ensure_future(
            world.http.post(f"{TASKS}/run", json={"name": "shop.add", "args": [1, 2]})
        )
        leases = await world.claim()
        begun = world.clock.now()
        await world.report(Report(leases[0].task_id, 1, Outcome.SUCCEEDED, begun, 0.5, b"3"))
        answer = await asyncio.wait_for(running, 10)
        assert answer.status_code == 201
        assert answer.headers["location"] == f"{TASKS}/{leases[0].task_id}"
        assert answer.json() == {
            "task_id": leases[0].task_id, "status": "COMPLETED", "result": 3,
        }  # fmt: skip

    async def test_answers_with_the_status_when_the_time_is_up(self, world: World) -> None:
        request = {"name": "shop.collect", "idempotency_key": "k"}
        answer = await world.http.post(f"{TASKS}/run?wait_seconds=0", json=request)
        assert (answer.status_code, answer.json()["status"]) == (201, "QUEUED")
        again = await world.http.post(f"{TASKS}/run?wait_seconds=0", json=request)
        assert (again.status_code, again.json()) == (200, answer.json())
        assert world.accepted() == 1

    async def test_tells_the_error_of_a_failed_one(self, world: World) -> None:
        await world.worker()
        request = {"name": "shop.collect", "idempotency_key": "k"}
        answer = await world.http.post(f"{TASKS}/run?wait_seconds=0", json=request)
        await world.fail(answer.json()["task_id"])
        again = await world.http.post(f"{TASKS}/run", json=request)
        assert again.status_code == 200
        assert again.json()["error"]["message"] == "no such file"

    async def test_the_end_comes_with_the_answer_of_one_call(self, make_world: MakeWorld) -> None:
        class NeverAskedAgain(Between):
            async def wait_over(self, *_: Any) -> None:
                pytest.fail("it was asked a second time")

        world = await make_world(scheduler=NeverAskedAgain)
        await world.worker()
        error = TaskError("OSError", "no such file")
        failed = Report("", 1, Outcome.FAILED, 0.0, 0.5, error=error, retryable=False)
        for report, said in (
            (Report("", 1, Outcome.SUCCEEDED, 0.0, 0.5, b"3"), {"result": 3}),
            (failed, {"error": {"type": "OSError", "message": "no such file", "traceback": ""}}),
        ):
            request = {"name": "shop.collect", "idempotency_key": str(said)}
            running = asyncio.ensure_future(world.http.post(f"{TASKS}/run", json=request))
            (lease,) = await world.claim()
            await world.report(replace(report, task_id=lease.task_id))
            answer = (await asyncio.wait_for(running, 10)).json()
            assert said.items() <= answer.items(), answer

    async def test_what_is_accepted_is_told_though_the_scheduler_goes_away(
        self, make_world: MakeWorld
    ) -> None:
        class GoesAway(Between):
            async def end_of(self, *_: Any) -> None:
                raise SchedulerUnavailable("the scheduler does not answer")

            wait_over = end_of

        world = await make_world(scheduler=GoesAway)
        answer = await world.http.post(f"{TASKS}/run", json={"name": "shop.collect"})
        assert (answer.status_code, answer.json()["status"]) == (201, "QUEUED")
        assert world.accepted() == 1

    @pytest.mark.parametrize("key", [None, "k"])
    async def test_it_is_accepted_though_the_scheduler_cannot_tell_the_end(
        self, make_world: MakeWorld, key: str | None
    ) -> None:
        class CannotTell(Between):
            async def end_of(self, *_: Any) -> None:
                raise CallFailed("no such call")

        world = await make_world(scheduler=CannotTell)
        request = {"name": "shop.collect", "idempotency_key": key}
        answer = await world.http.post(f"{TASKS}/run", json=request)
        assert (answer.status_code, answer.json()["status"]) == (201, "QUEUED")

    async def test_nobody_waits_for_a_scheduler_that_says_nothing(
        self, make_world: MakeWorld
    ) -> None:
        class SaysNothing(Between):
            async def end_of(self, *_: Any) -> None:
                await asyncio.Event().wait()

        world = await make_world(scheduler=SaysNothing)
        asking = world.http.post(f"{TASKS}/run?wait_seconds=0", json={"name": "shop.collect"})
        answer = await asyncio.wait_for(asking, 30)
        assert (answer.status_code, answer.json()["status"]) == (201, "QUEUED")

    async def test_it_is_accepted_though_the_store_does_not_answer(
        self, make_world: MakeWorld
    ) -> None:
        """With 503 the caller would submit it again."""
        gone: list[bool] = []

        class GoesAway(Between):
            def find(self, task_ids: Any) -> Any:
                if gone:
                    raise StoreError("the server went away")
                return self.real.find(task_ids)

        world = await make_world(reader=GoesAway)
        request = {"name": "shop.collect", "idempotency_key": "k"}
        gone.append(True)
        answer = await world.http.post(f"{TASKS}/run?wait_seconds=0", json=request)
        assert (answer.status_code, answer.json()["status"]) == (201, "QUEUED")
        again = await world.http.post(f"{TASKS}/run?wait_seconds=0", json=request)
        problem(again, 503)
        assert world.accepted() == 1

    async def test_many_at_a_time_share_calls(self, make_world: MakeWorld) -> None:
        calls: list[int] = []

        class Counts(Between):
            async def submit(self, specs: Any, *more: Any) -> Any:
                calls.append(len(specs))
                return await self.real.submit(specs, *more)

        world = await make_world(scheduler=Counts)
        await world.worker(slots=40)
        running = [
            asyncio.ensure_future(world.http.post(f"{TASKS}/run", json={"name": "shop.collect"}))
            for _ in range(40)
        ]
        done = 0
        while done < 40:
            for lease in await world.claim(40):
                report = Report(lease.task_id, 1, Outcome.SUCCEEDED, 0.0, 0.5, b"3")
                await world.report(report)
                done += 1
        answers = [(await asyncio.wait_for(one, 10)).json() for one in running]
        assert [answer["result"] for answer in answers] == [3] * 40
        assert sum(calls) == 40 and len(calls) < 20

    @pytest.mark.parametrize("query", ["wait_seconds=31", "wait_seconds=-1", "wait=1"])
    async def test_refuses_before_anything_is_accepted(self, world: World, query: str) -> None:
        answer = await world.http.post(f"{TASKS}/run?{query}", json={"name": "shop.collect"})
        assert "wait" in problem(answer, 422)
        problem(await world.http.post(f"{TASKS}/run", json={"name": "shop.collekt"}), 422)
        assert world.accepted() == 0


def test_a_result_past_its_time_is_left_out_of_an_end() -> None:
    spec, end = task_spec(result_ttl_seconds=60.0), Ended(Status.COMPLETED, 100.0, None, b"3")
    assert end_view(spec, end, 159.9).result == Raw(b"3")
    assert end_view(spec, end, 160.0).result is None


class TestWaiting:
    async def test_returns_when_the_task_ends(self, world: World) -> None:
        await world.worker()
        task_id = await world.submit()
        waiting = asyncio.ensure_future(world.http.get(f"{TASKS}/{task_id}?wait_seconds=30"))
        await asyncio.sleep(0)
        await world.complete(task_id)
        answer = await asyncio.wait_for(waiting, 10)
        assert answer.json()["status"] == "COMPLETED"

    async def test_returns_when_the_time_is_up(self, world: World) -> None:
        task_id = await world.submit()
        answer = await world.http.get(f"{TASKS}/{task_id}?wait_seconds=0.01")
        assert (answer.status_code, answer.json()["status"]) == (200, "QUEUED")

    async def test_does_not_wait_for_what_is_over(self, world: World) -> None:
        await world.worker()
        task_id = await world.submit()
        await world.fail(task_id)
        answer = await asyncio.wait_for(
            world.http.get(f"{TASKS}/{task_id}?wait_seconds=30"), timeout=10
        )
        view = answer.json()
        assert (view["status"], view["in_dlq"]) == ("FAILED", True)
        assert view["error"]["message"] == "no such file"

    @pytest.mark.parametrize(
        "query", ["wait_seconds=31", "wait_seconds=-1", "wait_seconds=nan", "wait=1",
                  "wait_seconds=1&wait_seconds=2"],
    )  # fmt: skip
    async def test_bad_parameters(self, world: World, query: str) -> None:
        task_id = await world.submit()
        answer = await world.http.get(f"{TASKS}/{task_id}?{query}")
        assert "query parameter wait" in problem(answer, 422)


class TestResult:
    async def test_of_a_completed_task(self, world: World) -> None:
        await world.worker()
        task_id = await world.submit()
        await world.complete(task_id, b'{"n":12345678901234567890123}')
        answer = await world.http.get(f"{TASKS}/{task_id}/result")
        assert answer.status_code == 200
        assert b'"result":{"n":12345678901234567890123}' in answer.content

    async def test_of_a_failed_task_is_its_error(self, world: World) -> None:
        await world.worker()
        task_id = await world.submit()
        await world.fail(task_id)
        answer = await world.http.get(f"{TASKS}/{task_id}/result")
        assert answer.json() == {
            "task_id": task_id,
            "status": "FAILED",
            "error": {"type": "OSError", "message": "no such file", "traceback": ""},
        }

    async def test_of_a_task_that_is_not_over(self, world: World) -> None:
        task_id = await world.submit()
        answer = await world.http.get(f"{TASKS}/{task_id}/result")
        assert "QUEUED" in problem(answer, 409)
        assert answer.json()["task_status"] == "QUEUED"

    async def test_past_its_time_to_live(self, world: World) -> None:
        await world.worker()
        task_id = await world.submit("shop.add", args=[1, 2])
        await world.complete(task_id)
        path = f"{TASKS}/{task_id}/result"
        world.clock.advance(59)
        assert (await world.http.get(path)).status_code == 200
        world.clock.advance(1)
        assert "60 seconds" in problem(await world.http.get(path), 410)
        await world.scheduler.prune(0.0, 99, 100)
        problem(await world.http.get(path), 410)


async def test_timeline_and_output(world: World) -> None:
    await world.worker()
    task_id = await world.submit()
    await world.complete(task_id)
    events = (await world.http.get(f"{TASKS}/{task_id}/events")).json()["events"]
    assert [event["kind"] for event in events] == ["submitted", "claimed", "started", "completed"]
    logs = (await world.http.get(f"{TASKS}/{task_id}/logs")).json()
    assert logs == {"logs": [{"attempt": 1, "text": "hello\n"}]}


class TestCancel:
    async def test_what_waits_is_over_at_once(self, world: World) -> None:
        task_id = await world.submit()
        answer = await world.http.post(f"{TASKS}/{task_id}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "CANCELLED")

    async def test_what_runs_is_told(self, world: World) -> None:
        await world.worker()
        task_id = await world.submit()
        (lease,) = await world.claim()
        answer = await world.http.post(f"{TASKS}/{task_id}/cancel")
        view = answer.json()
        assert answer.status_code == 202
        assert (view["status"], view["cancel_requested"]) == ("RUNNING", True)
        await world.report(Report(task_id, lease.attempt, Outcome.CANCELLED, 1.0, 0.1))
        assert (await world.http.get(f"{TASKS}/{task_id}")).json()["status"] == "CANCELLED"

    async def test_what_is_over_stays_as_it_is(self, world: World) -> None:
        await world.worker()
        task_id = await world.submit()
        await world.complete(task_id)
        answer = await world.http.post(f"{TASKS}/{task_id}/cancel")
        assert "COMPLETED" in problem(answer, 409)
        assert answer.json()["task_status"] == "COMPLETED"

    async def test_takes_no_fields(self, world: World) -> None:
        task_id = await world.submit()
        answer = await world.http.post(f"{TASKS}/{task_id}/cancel", json={"force": True})
        assert "force: unknown" in problem(answer, 422)
        assert (await world.http.get(f"{TASKS}/{task_id}")).json()["status"] == "QUEUED"


class TestRetry:
    async def test_a_failed_task_runs_again(self, world: World) -> None:
        await world.worker()
        task_id = await world.submit()
        await world.fail(task_id)
        answer = await world.http.post(f"{TASKS}/{task_id}/retry")
        assert (answer.status_code, answer.json()["status"]) == (200, "QUEUED")
        await world.complete(task_id)

    async def test_what_runs_or_waits_is_left_alone(self, world: World) -> None:
        task_id = await world.submit()
        answer = await world.http.post(f"{TASKS}/{task_id}/retry")
        assert "QUEUED" in problem(answer, 409)
        assert answer.json()["task_status"] == "QUEUED"
