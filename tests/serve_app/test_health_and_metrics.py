"""Health with every part sick in turn, and the text that Prometheus reads."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from task_queue.core.events import WorkerDeregistered, WorkerLost
from task_queue.store.protocol import StoreError
from tests.serve_app.api_world import Between, World, problem
from tests.serve_app.conftest import MakeWorld

pytestmark = pytest.mark.anyio


class SilentScheduler(Between):
    """Takes a question and never answers."""

    async def read(self, told: object = None) -> None:
        await asyncio.Event().wait()


class BrokenReader(Between):
    """A store whose disk is gone."""

    def ping(self) -> None:
        raise StoreError("the disk is gone")


class TestHealth:
    async def test_all_well(self, world: World) -> None:
        await world.worker()
        world.clock.advance(7)
        answer = await world.http.get("/health")
        assert answer.status_code == 200
        assert answer.json() == {
            "status": "healthy",
            "version": "1.2.3",
            "timestamp": "2023-11-14T22:13:27.000Z",
            "checks": {
                "database": {"status": "healthy", "response_time_ms": 0.0},
                "redis": {"status": "not_configured", "response_time_ms": None},
                "workers": {"status": "healthy", "active_count": 1, "total_count": 1},
                "api": {"status": "healthy", "uptime_seconds": 7.0},
            },
        }

    async def test_no_worker_is_well_while_nothing_waits(self, world: World) -> None:
        assert (await world.http.get("/health")).json()["status"] == "healthy"
        await world.submit()
        world.clock.advance(1)
        answer = await world.http.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        assert (
            answer.json()["checks"]["workers"]["detail"] == "1 tasks wait and no worker is active"
        )

    async def test_tasks_that_no_active_worker_takes(self, world: World) -> None:
        await world.worker()  # of the pool cpu
        await world.submit("shop.train", kwargs={"model": "m", "rounds": 1})
        world.clock.advance(1)
        health = (await world.http.get("/health")).json()
        workers = health["checks"]["workers"]
        assert (health["status"], workers["status"]) == ("degraded", "degraded")
        assert workers["detail"] == "1 tasks wait and no active worker takes them: queues 'gpu'"
        await world.worker("w2", pool="cuda", queues=("*",), excluded=("default", "images"))
        world.clock.advance(1)
        assert (await world.http.get("/health")).json()["status"] == "healthy"
        await world.http.post("/api/v1/workers/w2/pause")
        assert (await world.http.get("/health")).json()["status"] == "degraded"

    async def test_the_last_worker_was_lost(self, world: World) -> None:
        await world.worker()
        await world.scheduler.request(WorkerLost("w1", "w1-process", "killed"))
        for path in ("/health", "/api/v1/health/workers"):
            answer = await world.http.get(path)
            assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
            assert "no worker is left: 1 lost" in answer.text
        await world.worker(incarnation="the next")
        world.clock.advance(1)
        assert (await world.http.get("/health")).json()["status"] == "healthy"

    async def test_a_paused_queue_needs_no_worker(self, world: World) -> None:
        await world.submit()
        await world.http.post("/api/v1/queues/default/pause")
        assert (await world.http.get("/health")).json()["status"] == "healthy"

    async def test_a_sick_store(self, make_world: MakeWorld) -> None:
        world = await make_world(reader=BrokenReader)
        for path in ("/health", "/api/v1/health/database"):
            answer = await world.http.get(path)
            assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
            assert "the disk is gone" in answer.text
        assert (await world.http.get("/api/v1/health/workers")).status_code == 200

    async def test_a_store_that_hangs(
        self, make_world: MakeWorld, release: threading.Event
    ) -> None:
        class HangingReader(Between):
            def ping(self) -> None:
                release.wait(60)

        world = await make_world(reader=HangingReader, check_seconds=0.2)
        for _ in range(2):  # the second finds the first still hanging
            async with asyncio.timeout(20):
                answer = await world.http.get("/health")
            assert answer.status_code == 503
            assert "within 0.2 s" in answer.json()["checks"]["database"]["detail"]
        assert (await world.http.get("/health/live")).status_code == 200

    async def test_a_scan_that_hangs_hides_lost_workers_and_holds_up_nothing(
        self, make_world: MakeWorld, release: threading.Event
    ) -> None:
        class HangingScan(Between):
            def workers(self) -> None:
                release.wait(60)

        world = await make_world(reader=HangingScan, check_seconds=2.0)
        await world.worker()
        async with asyncio.timeout(20):
            answer = await world.http.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (200, "healthy")
        workers = answer.json()["checks"]["workers"]
        assert workers["active_count"] == 1
        assert "lost workers are not counted" in workers["detail"]

    async def test_a_store_that_answers_and_saves_nothing(self, make_world: MakeWorld) -> None:
        class Waiting(Between):
            waits = 4.0

            async def read(self, told: Any = None) -> Any:
                reading = await self.real.read(told)
                reading.store.commit_waits_seconds = self.waits
                return reading

        world = await make_world(scheduler=Waiting)
        assert (await world.http.get("/health")).status_code == 200
        Waiting.waits = 6.0
        world.clock.advance(1)
        for path in ("/health", "/api/v1/health/database"):
            answer = await world.http.get(path)
            assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
            assert "has not saved anything for 6 s" in answer.text
        assert (await world.http.get("/metrics")).status_code == 200

    async def test_a_scheduler_that_is_away(self, world: World) -> None:
        world.scheduler.stop()
        for path in ("/health", "/api/v1/health/workers"):
            answer = await world.http.get(path)
            assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")

    async def test_a_scheduler_that_is_silent(self, make_world: MakeWorld) -> None:
        world = await make_world(scheduler=SilentScheduler, check_seconds=2.0)
        async with asyncio.timeout(20):
            answer = await world.http.get("/health")
        assert answer.status_code == 503
        assert "scheduler did not answer" in answer.json()["checks"]["workers"]["detail"]
        assert answer.json()["checks"]["database"]["status"] == "healthy"

    async def test_parts(self, world: World) -> None:
        await world.worker()
        await world.worker("w2")
        await world.scheduler.request(WorkerLost("w2", "w2-process", "killed"))
        await world.submit()
        database = (await world.http.get("/api/v1/health/database")).json()
        pool = database["connection_pool"]
        assert (database["status"], pool["active"]) == ("healthy", 0)
        assert pool["idle"] == pool["total"] == 2  # one for tasks, one for this check
        assert (await world.http.get("/api/v1/health/workers")).json() == {
            "status": "healthy", "active_workers": 1, "total_workers": 2,
            "healthy_workers": 1, "unhealthy_workers": 1,
        }  # fmt: skip
        redis = (await world.http.get("/api/v1/health/redis")).json()
        assert redis["status"] == "not_configured"


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Lets a hanging thread go when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def samples(text: str) -> dict[str, float]:
    """Samples by name and labels, as they are written."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def targets_of(world: World) -> dict[str, int]:
    """Each worker that is a target, and how its scrape is answered."""
    targets = (await world.http.get("/api/v1/prometheus/targets")).json()
    return {
        target["labels"]["worker_id"]: (
            await world.http.get(unquote(target["labels"]["__metrics_path__"]))
        ).status_code
        for target in targets
    }


class TestMetrics:
    async def test_names_and_figures_of_the_guide(self, world: World) -> None:
        await world.worker(slots=4)
        await world.complete(await world.submit())
        await world.fail(await world.submit())
        await world.submit(priority=9)
        await world.claim()
        await world.submit(priority=8)
        await world.submit(priority=0)
        world.clock.advance(6)
        found = samples((await world.http.get("/metrics")).text)
        assert found["task_queue:submission_rate"] == 5
        assert found["task_queue:completion_rate"] == 1
        assert found["task_queue:failure_rate"] == 1
        assert found["task_queue:retry_rate"] == 0
        assert found["task_queue:timeout_rate"] == 0
        bands = ("high", "normal", "low")
        depth = [found[f'task_queue:queue_depth{{priority="{band}"}}'] for band in bands]
        assert depth == [1, 0, 1]
        labels = 'event="submitted",queue="default",task="shop.collect"'
        assert found[f"task_queue_tasks_total{{{labels}}}"] == 5
        statuses = ("active", "paused", "draining", "lost")
        counts = [found[f'workers:total{{status="{status}"}}'] for status in statuses]
        assert counts == [1, 0, 0, 0]
        assert found["workers:healthy"] == 1
        worker = {
            name: found[f'worker:{name}{{worker_id="w1"}}']
            for name in (
                "utilization_percent", "task_rate", "avg_duration_seconds", "error_rate",
                "uptime_seconds", "restart_count",
            )
        }  # fmt: skip
        assert worker == {
            "utilization_percent": 25.0, "task_rate": 20.0, "avg_duration_seconds": 0.5,
            "error_rate": 0.5, "uptime_seconds": 6.0, "restart_count": 0.0,
        }  # fmt: skip
        assert found['api:requests{status="201"}'] == 5

    async def test_growing_counts_are_counters_in_the_text_format(self, world: World) -> None:
        answer = await world.http.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert "# TYPE task_queue:submission_rate counter\n" in answer.text
        assert "# TYPE task_queue_tasks_total counter\n" in answer.text
        assert "# TYPE workers:total gauge\n" in answer.text

    @pytest.mark.parametrize("escaping", ["", ";escaping=underscores", ";escaping=allow-utf-8"])
    async def test_openmetrics_if_asked_for(self, world: World, escaping: str) -> None:
        accept = f"application/openmetrics-text;version=1.0.0{escaping};q=0.6,text/plain;q=0.4"
        answer = await world.http.get("/metrics", headers={"Accept": accept})
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        assert answer.text.endswith("# EOF\n")
        parse: Any = text_string_to_metric_families  # it has no types
        families = {family.name: family for family in parse(answer.text)}
        name = "task_queue:submission_rate"
        assert families[name].samples[0].name == name
        assert samples(answer.text)[name] == 0.0

    async def test_counts_survive_a_restart_of_the_api(self, make_world: MakeWorld) -> None:
        world = await make_world()
        await world.submit()
        first = samples((await world.http.get("/metrics")).text)["task_queue:submission_rate"]
        assert first == sum(t.count for t in world.store.tallies() if t.kind == "submitted") == 1

    async def test_each_worker_is_a_target_that_can_be_scraped(self, world: World) -> None:
        await world.worker()
        await world.worker("w/2")
        await world.worker("w3")
        await world.scheduler.request(WorkerLost("w3", "w3-process", "killed"))
        targets = (await world.http.get("/api/v1/prometheus/targets")).json()
        assert {target["targets"][0] for target in targets} == {"queue.test:8000"}
        statuses: dict[str, Any] = {}
        for target in targets:
            labels = target["labels"]
            assert labels["job"] == "workers"
            answer = await world.http.get(unquote(labels["__metrics_path__"]))
            statuses[labels["worker_id"]] = answer.status_code
            if answer.status_code == 200:
                names = [key for key in samples(answer.text) if labels["worker_id"] in key]
                assert len(names) == 5  # no mean duration before the first attempt
        assert statuses == {"w1": 200, "w/2": 200, "w3": 503}

    async def test_a_worker_that_was_deregistered_is_no_target_any_more(self, world: World) -> None:
        await world.worker()
        assert await targets_of(world) == {"w1": 200}
        await world.scheduler.request(WorkerDeregistered("w1", "w1-process"))
        world.clock.advance(3)
        assert await targets_of(world) == {}
        problem(await world.http.get("/api/v1/metrics/workers/w1"), 404)

    async def test_a_lost_worker_is_down_until_it_is_back(self, world: World) -> None:
        await world.worker()
        await world.scheduler.request(WorkerLost("w1", "w1-process", "killed"))
        world.clock.advance(3)
        assert await targets_of(world) == {"w1": 503}
        await world.worker(incarnation="the next")
        world.clock.advance(1)
        assert await targets_of(world) == {"w1": 200}

    async def test_a_worker_that_is_silent_for_its_lease_is_down(self, world: World) -> None:
        await world.worker()
        for _ in range(8):
            world.clock.advance(2)
            world.scheduler.tick()
            await world.scheduler.read()
        world.clock.advance(3)
        assert await targets_of(world) == {"w1": 503}

    async def test_a_lost_worker_is_a_target_for_a_quarter_of_an_hour(self, world: World) -> None:
        await world.worker()
        await world.scheduler.request(WorkerLost("w1", "w1-process", "killed"))
        world.clock.advance(890)
        assert await targets_of(world) == {"w1": 503}
        world.clock.advance(20)
        assert await targets_of(world) == {}

    async def test_an_unknown_worker_has_no_metrics(self, world: World) -> None:
        problem(await world.http.get("/api/v1/metrics/workers/nobody"), 404)
