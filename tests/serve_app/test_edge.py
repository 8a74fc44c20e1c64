"""What holds for every route: keys, problems, ids, the document, no Ray."""

import re
import subprocess
import sys
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import httpx
import pytest

from tests.serve_app.api_world import TASKS, Between, World, problem
from tests.serve_app.conftest import MakeWorld

pytestmark = pytest.mark.anyio

#: Section 5 of the design, route by route.
CONTRACT = """
    POST /api/v1/tasks
    POST /api/v1/tasks/run
    POST /api/v1/tasks/batch
    POST /api/v1/tasks/results
    GET /api/v1/tasks
    GET /api/v1/tasks/{task_id}
    GET /api/v1/tasks/{task_id}/result
    GET /api/v1/tasks/{task_id}/events
    GET /api/v1/tasks/{task_id}/logs
    POST /api/v1/tasks/{task_id}/cancel
    POST /api/v1/tasks/{task_id}/retry
    GET /api/v1/search/tasks
    POST /api/v1/dlq/replay
    POST /api/v1/dlq/purge
    GET /api/v1/queues
    POST /api/v1/queues/{queue}/pause
    POST /api/v1/queues/{queue}/resume
    POST /api/v1/queues/{queue}/purge
    GET /api/v1/workers
    GET /api/v1/workers/{worker_id}/status
    POST /api/v1/workers/{worker_id}/pause
    POST /api/v1/workers/{worker_id}/resume
    POST /api/v1/workers/{worker_id}/drain
    GET /api/v1/schedules
    POST /api/v1/schedules
    GET /api/v1/schedules/{schedule_id}
    DELETE /api/v1/schedules/{schedule_id}
    GET /api/v1/task-types
    GET /api/v1/dashboard/stats
    GET /api/v1/dashboard/queue-depth
    GET /api/v1/analytics/trends
    GET /api/v1/events
    GET /api/v1/metrics/workers/{worker_id}
    GET /api/v1/prometheus/targets
    GET /health
    GET /health/live
    GET /api/v1/health/database
    GET /api/v1/health/redis
    GET /api/v1/health/workers
    GET /metrics
"""


class TestDocument:
    async def _document(self, world: World) -> dict[str, Any]:
        document: dict[str, Any] = (await world.http.get("/openapi.json")).json()
        return document

    async def test_has_every_route_of_the_contract(self, world: World) -> None:
        paths = (await self._document(world))["paths"]
        offered = {f"{m.upper()} {path}" for path, methods in paths.items() for m in methods}
        assert offered == set(CONTRACT.strip().replace("    ", "").split("\n"))

    async def test_every_operation_has_an_example(self, world: World) -> None:
        bare = []
        for path, methods in (await self._document(world))["paths"].items():
            for method, about in methods.items():
                parts = [about.get("requestBody"), *about["responses"].values()]
                contents = [c for p in parts if p for c in p.get("content", {}).values()]
                if any("example" not in content for content in contents):
                    bare.append(f"{method} {path}")
        assert bare == []

    async def test_every_reference_leads_somewhere(self, world: World) -> None:
        text = (await world.http.get("/openapi.json")).text
        schemas = (await self._document(world))["components"]["schemas"]
        names = set(re.findall(r'"#/components/schemas/(\w+)"', text))
        assert names
        assert names - set(schemas) == set()

    async def test_the_scrape_targets_are_a_list(self, world: World) -> None:
        path = (await self._document(world))["paths"]["/api/v1/prometheus/targets"]
        schema = path["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert schema == {"type": "array", "items": {"$ref": "#/components/schemas/TargetGroup"}}

    async def test_the_page_for_people(self, world: World) -> None:
        answer = await world.http.get("/docs")
        assert answer.status_code == 200
        assert "/openapi.json" in answer.text

    async def test_keys_are_part_of_it_if_there_are_any(self, make_world: MakeWorld) -> None:
        world = await make_world(http={"api_keys": [KEY], "open_paths": ["/openapi.json"]})
        document = await self._document(world)
        assert document["security"] == [{"apiKey": []}]
        assert "security" not in await self._document(await make_world())


class TestProblems:
    async def test_an_unknown_path_names_the_nearest(self, world: World) -> None:
        assert "/api/v1/queues" in problem(await world.http.get("/api/v1/queus"), 404)
        assert "/api/v1/tasks" in problem(await world.http.get("/api/v1/tasks/"), 404)
        assert len(problem(await world.http.get("/" + "x" * 10_000), 404)) < 1_000

    async def test_a_wrong_method_names_the_right_ones(self, world: World) -> None:
        answer = await world.http.put(TASKS)
        assert "GET, POST" in problem(answer, 405)
        assert answer.headers["allow"] == "GET, POST"
        assert (await world.http.get(f"{TASKS}/batch")).status_code == 404  # an id, and no good one

    async def test_what_nobody_foresaw_is_hidden_and_logged(
        self, make_world: MakeWorld, capfd: pytest.CaptureFixture[str]
    ) -> None:
        class Buggy(Between):
            async def read(self, told: object = None) -> None:
                raise RuntimeError("the secret is 42")

        world = await make_world(scheduler=Buggy)
        answer = await world.http.get("/api/v1/queues", headers={"X-Request-ID": "req-9"})
        assert "secret" not in problem(answer, 500)
        assert answer.headers["x-request-id"] == "req-9"
        logged = capfd.readouterr()
        assert "the secret is 42" in logged.out + logged.err
        assert "req-9" in logged.out + logged.err

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/api/v1/queues"),
            ("GET", "/api/v1/workers"),
            ("POST", "/api/v1/queues/default/pause"),
            ("GET", "/api/v1/dashboard/stats"),
            ("GET", "/metrics"),
            ("GET", "/api/v1/prometheus/targets"),
        ],
    )
    async def test_without_a_scheduler(self, world: World, method: str, path: str) -> None:
        world.scheduler.stop()
        answer = await world.http.request(method, path)
        problem(answer, 503)
        assert answer.headers["retry-after"] == "1"

    @pytest.mark.parametrize("given", ["", "x" * 201, "a b", "é"])
    async def test_a_bad_request_id_is_replaced(self, world: World, given: str) -> None:
        headers = [(b"X-Request-ID", given.encode())]
        answer = await world.http.get("/health/live", headers=headers)
        assert answer.headers["x-request-id"] not in ("", given)


KEY = {"name": "ci", "sha256": sha256(b"secret").hexdigest()}
OTHER = {"name": "ops", "sha256": sha256(b"other").hexdigest()}


class TestKeys:
    @pytest.fixture
    async def locked(self, make_world: MakeWorld) -> World:
        return await make_world(http={"api_keys": [KEY, OTHER]})

    @pytest.mark.parametrize(
        "header", [None, "", "secret", "Bearer", "Bearer ", "Bearer wrong", "Basic secret",
                   f"Bearer {KEY['sha256']}", "Bearer sécret"],
    )  # fmt: skip
    async def test_no_key_no_entry(self, locked: World, header: str | None) -> None:
        headers = [] if header is None else [(b"Authorization", header.encode())]
        answer = await locked.http.post(TASKS, json={"name": "shop.collect"}, headers=headers)
        assert "Authorization: Bearer" in problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert locked.accepted() == 0

    @pytest.mark.parametrize("header", ["Bearer secret", "bearer other"])
    async def test_every_known_key_opens(self, locked: World, header: str) -> None:
        answer = await locked.http.get(TASKS, headers={"Authorization": header})
        assert answer.status_code == 200

    async def test_open_paths_and_what_is_below_them(self, locked: World) -> None:
        statuses = {}
        for path in ("/health", "/health/live", "/metrics", "/healthy", "/docs", TASKS):
            statuses[path] = (await locked.http.get(path)).status_code
        assert statuses == {
            "/health": 200, "/health/live": 200, "/metrics": 200,
            "/healthy": 401, "/docs": 401, TASKS: 401,
        }  # fmt: skip

    async def test_a_refused_body_is_not_read(self, locked: World) -> None:
        read = False

        async def body() -> AsyncIterator[bytes]:
            nonlocal read
            read = True
            yield b"{}"

        answer: httpx.Response = await locked.http.post(TASKS, content=body())
        problem(answer, 401)
        assert not read


def test_the_api_needs_no_ray() -> None:
    code = "import sys, serve_app.api; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
