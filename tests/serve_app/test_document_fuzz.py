"""Requests of every kind, right and wrong, made from the OpenAPI document by schemathesis.

No request may be answered with 5xx or otherwise than the document says, and what the document does
not allow may not be accepted.
"""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, CheckFunction, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.serve_app.api_world import World, open_world

_CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance,
    response_headers_conformance, response_schema_conformance,
]  # fmt: skip
_EXAMPLES = 25  #: of each operation
#: It goes on for ever.
_STREAM = "/api/v1/events"


Operation = APIOperation[Any, Any, Any, Any]


class _Served:
    """A world behind a socket, in a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.url = ""
        self.document: dict[str, Any] = {}
        self.known: dict[str, str] = {}

    def __enter__(self) -> "_Served":
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(20)

    async def _fill(self, world: World) -> None:
        """Something of every kind, and its ids."""
        await world.worker("w1")
        done = await world.submit(args=["a"], tags=["t"])
        await world.complete(done)
        await world.fail(await world.submit())
        await world.submit("shop.train", kwargs={"model": "m", "rounds": 3})
        schedule = {"id": "s1", "interval_seconds": 60, "task": {"name": "shop.collect"}}
        answer = await world.http.post("/api/v1/schedules", json=schedule)
        assert answer.status_code == 201, answer.text
        self.known = {
            "task_id": done, "worker_id": "w1", "schedule_id": "s1", "queue": "default",
        }  # fmt: skip

    async def _serve(self) -> None:
        async with open_world("sqlite", self._folder) as world:
            self.document = world.app.openapi()
            config = uvicorn.Config(world.app, port=0, log_level="critical", lifespan="off")
            self._server = uvicorn.Server(config)
            serving = asyncio.create_task(self._server.serve())
            while not self._server.started:
                await asyncio.sleep(0.01)
            port = self._server.servers[0].sockets[0].getsockname()[1]
            self.url = f"http://127.0.0.1:{port}"
            await self._fill(world)
            self._ready.set()
            await serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Served]:
    with _Served(tmp_path_factory.mktemp("served")) as world:
        yield world


@pytest.fixture(scope="module")
def operations(served: _Served) -> list[Operation]:
    schema = schemathesis.openapi.from_dict(served.document)
    found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    return [operation for operation in found if operation.path != _STREAM]


@pytest.mark.parametrize("mode", list(GenerationMode), ids=[mode.value for mode in GenerationMode])
def test_every_operation_answers_as_the_document_says(
    served: _Served, operations: list[Operation], mode: GenerationMode
) -> None:
    assert len(operations) > 30
    for operation in operations:
        if mode is GenerationMode.POSITIVE:
            _ask(served, operation, operation.as_strategy(), _CHECKS)
        elif operation.body or operation.query:  # else nothing about it can be wrong
            wrong = operation.as_strategy(generation_mode=mode)
            _ask(served, operation, wrong, [*_CHECKS, negative_data_rejection])


def test_what_is_there_is_told_as_the_document_says(
    served: _Served, operations: list[Operation]
) -> None:
    for operation in operations:
        named = {p.name for p in operation.path_parameters}
        if named:
            known = {name: value for name, value in served.known.items() if name in named}
            assert known.keys() == named, operation.label
            _ask(served, operation, operation.as_strategy(path_parameters=known), _CHECKS)


def _ask(
    served: _Served,
    operation: Operation,
    cases: SearchStrategy[Case[Any]],
    checks: list[CheckFunction],
) -> None:
    @settings(
        max_examples=_EXAMPLES, derandomize=True, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(cases)
    def ask(case: Case[Any]) -> None:
        response = case.call(base_url=served.url)
        # The server refuses a first line of more than 64 KiB before the API sees it.
        assume(response.content != b"Invalid HTTP request received.")
        case.validate_response(response, checks=checks)

    try:
        ask()
    except Exception as error:
        error.add_note(operation.label)
        raise
