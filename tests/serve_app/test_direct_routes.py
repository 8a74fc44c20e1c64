"""The short way leads to the same handlers as FastAPI's routes, or to FastAPI."""

from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from starlette.routing import Match

from serve_app.direct_routes import DirectRoutes
from serve_app.operation import Operation
from tests.serve_app.api_world import TASKS, World, problem
from tests.serve_app.conftest import MakeWorld

pytestmark = pytest.mark.anyio


def operations_of(app: FastAPI) -> list[Operation]:
    (layer,) = [layer for layer in app.user_middleware if is_direct(layer)]
    operations: Any = layer.kwargs["operations"]
    return list(operations)


def is_direct(layer: Any) -> bool:
    return bool(layer.cls is DirectRoutes)


def scope_of(method: str, path: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(),
        "query_string": b"", "headers": [], "root_path": "", "state": {}, **more,
    }  # fmt: skip


async def nothing(*_: Any) -> Any:
    """Takes messages, and has none."""


class Passed:
    """Stands where FastAPI stands, and sees what comes to it."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, _receive: Any, _send: Any) -> None:
        self.scopes.append(scope)


def noting(operation: Operation, seen: list[Any]) -> Operation:
    """The operation with a handler that only notes that it was called."""

    async def handler(request: Request) -> Response:
        seen.append((operation.handler, request.path_params))
        return Response()

    return Operation(
        method=operation.method, path=operation.path, handler=handler, summary="", tag=""
    )


def fastapis_choice(app: FastAPI, method: str, path: str) -> tuple[Any, Any]:
    for route in app.routes:
        match, child = route.matches(scope_of(method, path))
        if match is Match.FULL:
            return child["endpoint"], child["path_params"]
    return None, None


async def test_every_operation_is_found_as_fastapi_finds_it(world: World) -> None:
    operations = operations_of(world.app)
    seen: list[Any] = []
    passed = Passed()
    direct = DirectRoutes(passed, [noting(operation, seen) for operation in operations])
    for operation in operations:
        for word in ("one", "batch", "result", "a b", "é", "{task_id}"):
            path = operation.path.replace("{task_id}", word)
            await direct(scope_of(operation.method, path), nothing, nothing)
            if ":path" in path:
                assert passed.scopes.pop()["path"] == path
            else:
                assert seen.pop() == fastapis_choice(world.app, operation.method, path)
    assert (seen, passed.scopes) == ([], [])


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("PUT", TASKS, {}),
        ("HEAD", TASKS, {}),
        ("GET", f"{TASKS}/", {}),
        ("GET", f"{TASKS}//result", {}),
        ("GET", f"{TASKS}/a/b/result", {}),
        ("GET", f"{TASKS}/a/result/", {}),
        ("GET", "/docs", {}),
        ("GET", "", {}),
        ("GET", f"/below{TASKS}", {"root_path": "/below"}),
        ("GET", TASKS, {"root_path": "/below"}),
        ("GET", TASKS, {"fastapi.telemetry": object()}),
        ("GET", TASKS, {"type": "websocket"}),
    ],
)
async def test_the_rest_is_for_fastapi(
    world: World, method: str, path: str, more: dict[str, Any]
) -> None:
    seen: list[Any] = []
    passed = Passed()
    direct = DirectRoutes(passed, [noting(o, seen) for o in operations_of(world.app)])
    scope = scope_of(method, path, **more)
    await direct(scope, nothing, nothing)
    assert (seen, passed.scopes) == ([], [scope])
    assert "path_params" not in scope


async def test_below_a_prefix_the_answers_are_the_same(world: World) -> None:
    task_id = await world.submit()
    outer = FastAPI()
    outer.mount("/below", world.app)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    path = f"/below{TASKS}/{task_id}"
    await outer({**scope_of("GET", path), "asgi": {}, "http_version": "1.1"}, nothing, send)
    assert sent[0]["status"] == 200
    assert sent[1]["body"] == (await world.http.get(f"{TASKS}/{task_id}")).content


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "through FastAPI"])
async def test_refusals_are_the_same_both_ways(make_world: MakeWorld, direct: bool) -> None:
    world = await make_world()
    if not direct:
        layers = world.app.user_middleware
        layers[:] = [layer for layer in layers if not is_direct(layer)]
    answer = await world.http.post(TASKS, json={"name": "shop.nothing"})
    assert "shop.nothing" in problem(answer, 422)
    world.scheduler.stop()
    answer = await world.http.post(TASKS, json={"name": "shop.collect"})
    assert "nothing was accepted" in problem(answer, 503)
    assert answer.headers["retry-after"] == "1"
