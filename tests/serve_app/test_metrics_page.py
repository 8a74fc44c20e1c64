"""docs/metrics.md lists what a scrape shows, and nothing else; every replica shows the same."""

import re
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from monitoring.node_figures import read_node
from monitoring.redis_reading import RedisReading
from serve_app.api import build_api
from task_queue.core.effects import TallyKind
from task_queue.core.events import WorkerLost
from task_queue.latency_book import MOST_QUEUES
from task_queue.settings import PoolSettings, Settings
from task_queue.store.query import Pool
from task_queue.tasks import TaskFunction, TaskOptions
from tests.serve_app.api_world import POOLS, TYPES, Between, World
from tests.serve_app.conftest import MakeWorld

pytestmark = pytest.mark.anyio

_PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
_ROW = re.compile(r"\| `([\w:]+)` \| (\w+) \|([^|]*)\|")
_OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0"}
_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class OnOneMachine(Between):
    """The scheduler as its actor shows it: with the figures of this machine and its chores."""

    async def read(self, told: object = None) -> Any:
        reading = await self.real.read(told)
        reading.nodes = [read_node()]
        reading.chore_failures = {"prune": 0}
        return reading


def listed() -> dict[str, tuple[str, frozenset[str]]]:
    """Series to (type, labels), as the page has them."""
    rows = _ROW.findall(_PAGE.read_text("utf-8"))
    return {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def scraped(text: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Series to (type, labels), as a scrape has them."""
    types = dict(re.findall(r"^# TYPE (\S+) (\w+)$", text, re.MULTILINE))
    found = {}
    for name, labels in re.findall(r"^([\w:]+)(?:{(.*)})? \S+$", text, re.MULTILINE):
        histogram = re.sub(r"_(bucket|count|sum)$", "", name)
        series = histogram if types.get(histogram) == "histogram" else name
        names = set(re.findall(r'(\w+)="', labels)) - {"le"}
        found[series] = (types[series], frozenset(names))
    return found


async def busy(world: World) -> None:
    """Something of everything."""
    await world.worker()
    await world.complete(await world.submit())
    await world.submit()


async def test_the_page_and_a_scrape_agree_both_ways(make_world: MakeWorld) -> None:
    async def read_redis() -> RedisReading:
        return RedisReading(1, 1, 1, 1.0, {"hash": 1})

    world = await make_world(scheduler=OnOneMachine, read_redis=read_redis)
    await busy(world)
    assert scraped((await world.http.get("/metrics")).text) == listed()


async def from_zero(world: World) -> dict[str, float]:
    """Counts of a queue that has done nothing but answer a scrape: the one before told them."""
    await world.http.get("/metrics")
    world.clock.advance(1)
    text = (await world.http.get("/metrics")).text
    types = dict(re.findall(r"^# TYPE (\S+) (\w+)$", text, re.MULTILINE))
    found = {}
    for line, value in re.findall(r"^([^#\s]\S*) (\S+)$", text, re.MULTILINE):
        name = re.sub(r"_(bucket|count|sum)$", "", line.partition("{")[0])
        if types.get(name, "histogram") in ("counter", "histogram"):
            found[line] = float(value)
    return found


class TestFromZero:
    async def test_each_declared_task_in_its_queue(self, world: World) -> None:
        found = await from_zero(world)
        for declared in TYPES:
            for kind in get_args(TallyKind):
                labels = f'event="{kind}",queue="{declared.options.queue}",task="{declared.name}"'
                assert found[f"task_queue_tasks_total{{{labels}}}"] == 0

    async def test_latencies_of_each_queue_that_a_pool_serves(self, world: World) -> None:
        found = await from_zero(world)
        for what in ("wait", "processing", "end_to_end"):
            for queue in ("default", "gpu", "images"):
                assert found[f'task_queue_{what}_seconds_count{{queue="{queue}"}}'] == 0
                assert found[f'task_queue_{what}_seconds_bucket{{le="+Inf",queue="{queue}"}}'] == 0

    async def test_each_answer_that_the_api_may_give(self, world: World) -> None:
        found = await from_zero(world)
        paths = (await world.http.get("/openapi.json")).json()["paths"].values()
        declared = {s for path in paths for o in path.values() for s in o["responses"]}
        assert len(declared) > 10
        for status in declared | {"304", "307", "401", "404", "405", "413", "500"}:
            assert found[f'api:requests{{status="{status}"}}'] == 0

    async def test_each_route_by_which_tasks_come(self, world: World) -> None:
        found = await from_zero(world)
        name = "task_queue_api_request_seconds_count"
        for path in ("/api/v1/tasks", "/api/v1/tasks/batch"):
            assert found[f'{name}{{route="{path}"}}'] == 0
        await world.http.post("/api/v1/tasks", json={})
        before, after = found.keys(), (await from_zero(world)).keys()
        assert {line for line in after - before if line.startswith(name)} == set()

    async def test_a_task_that_is_declared_later_and_a_queue_of_a_caller(
        self, world: World
    ) -> None:
        await world.scheduler.declare(
            [*POOLS, _ANY_QUEUE],
            [*TYPES, TaskFunction(_late, "shop.late", TaskOptions(queue="late")).task_type()],
        )
        world.clock.advance(3)
        await world.submit(queue="of-a-caller")
        found = await from_zero(world)
        late, own = 'queue="late",task="shop.late"', 'queue="of-a-caller",task="shop.collect"'
        assert found[f'task_queue_tasks_total{{event="submitted",{late}}}'] == 0
        assert found[f'task_queue_tasks_total{{event="submitted",{own}}}'] == 1
        assert found[f'task_queue_tasks_total{{event="completed",{own}}}'] == 0
        assert found['task_queue_processing_seconds_count{queue="of-a-caller"}'] == 0

    async def test_only_a_hundred_queues_however_many_there_are(self, world: World) -> None:
        await world.scheduler.declare([*POOLS, _ANY_QUEUE], TYPES)
        tasks = [{"name": "shop.collect", "queue": f"q{n:03}"} for n in range(2 * MOST_QUEUES)]
        await world.http.post("/api/v1/tasks/batch", json={"tasks": tasks})
        found = await from_zero(world)
        for name in ("task_queue_tasks_total", "task_queue_wait_seconds_count"):
            queues = set(re.findall(rf'^{name}{{.*queue="([^"]*)"', "\n".join(found), re.MULTILINE))
            assert MOST_QUEUES <= len(queues) <= MOST_QUEUES + 1, name


_ANY_QUEUE = Pool("new", ("late", "*"), ("shop.late", "shop.collect"))


def _late() -> None:
    """Comes with a later release."""


async def test_exemplars_lead_to_traces_in_openmetrics_only(world: World) -> None:
    await world.worker()
    headers = {"traceparent": f"00-{_TRACE}-00f067aa0ba902b7-01"}
    answer = await world.http.post("/api/v1/tasks", json={"name": "shop.collect"}, headers=headers)
    await world.complete(answer.json()["task_id"])
    world.clock.advance(1)
    text = (await world.http.get("/metrics", headers=_OPENMETRICS)).text
    parse: Any = text_string_to_metric_families
    families = {family.name: family for family in parse(text)}
    for name in ("task_queue:processing_time_seconds", "task_queue_end_to_end_seconds"):
        traces = [s.exemplar.labels for s in families[name].samples if s.exemplar]
        assert traces == [{"trace_id": _TRACE}]
    assert _TRACE not in (await world.http.get("/metrics")).text


async def test_every_replica_shows_the_answers_of_all(world: World) -> None:
    other = build_api(
        world.scheduler, world.open_reader, Settings(pools={"cpu": PoolSettings()}),
        world.clock, "1.2.3",
    )  # fmt: skip
    transport = httpx.ASGITransport(other)
    async with (
        other.router.lifespan_context(other),
        httpx.AsyncClient(transport=transport, base_url="http://other.test:8000") as http,
    ):
        for _ in range(3):
            await http.get("/api/v1/tasks")
            await world.http.get("/api/v1/tasks")
        texts = []
        for client in (http, world.http, http):
            world.clock.advance(1)
            texts.append((await client.get("/metrics")).text)
    route = 'task_queue_api_request_seconds_count{route="/api/v1/tasks"} 6.0'
    assert [route in text for text in texts] == [False, True, True]
    answers = [
        re.findall(r'^api:requests{status="200"} (.*)$', text, re.MULTILINE) for text in texts
    ]
    assert answers == [["3.0"], ["6.0"], ["6.0"]]


async def test_paths_that_callers_make_up_are_one_route(world: World) -> None:
    for n in range(20):
        await world.http.get(f"/no/such/path/{n}")
        await world.http.get(f"/api/v1/tasks/{n}")
    text = (await world.http.get("/metrics")).text
    assert 'task_queue_api_request_seconds_count{route="other"} 20.0' in text
    assert 'task_queue_api_request_seconds_count{route="/api/v1/tasks/{task_id}"} 20.0' in text


async def test_a_dead_worker_and_a_sick_scheduler_are_no_failures_of_the_api(world: World) -> None:
    await world.worker()
    await world.scheduler.request(WorkerLost("w1", "w1-process", "killed"))
    answer = await world.http.get("/api/v1/metrics/workers/w1")
    assert answer.status_code == 503
    found = await from_zero(world)
    assert {line for line in found if line.startswith("api:requests") and found[line]} == set()
    route = "/api/v1/metrics/workers/{worker_id:path}"
    assert found[f'task_queue_api_request_seconds_count{{route="{route}"}}'] == 1
