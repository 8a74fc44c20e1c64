"""Requests made up from the OpenAPI document itself, good ones and bad ones.

None breaks the API, none is answered with something that the document does not say, and what the
document forbids is refused.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from copy import deepcopy
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.serve_app.api_world import Between, World
from tests.serve_app.conftest import open_world

_MANY = settings(
    max_examples=10,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


class Hasty(Between):
    """Does not wait for tasks to end, where a request may ask for 30 s."""

    async def wait_over(self, task_ids: Sequence[str], timeout_seconds: float) -> None:
        return


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def world(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    opened = open_world("memory", tmp_path_factory.mktemp("world"), scheduler=Hasty)
    world = runner.run(opened.__aenter__())
    runner.run(world.worker())
    yield world
    runner.run(opened.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def document(runner: asyncio.Runner, world: World) -> dict[str, Any]:
    """The document, in which names and ids are those that there are: or all would be unknown."""
    task_id = runner.run(world.submit())
    known = {"task_id": task_id, "worker_id": "w1", "queue": "default", "schedule_id": "nightly"}
    changed = deepcopy(world.app.openapi())
    for methods in changed["paths"].values():
        for about in methods.values():
            for parameter in about.get("parameters", []):
                if parameter["in"] == "path":
                    parameter["schema"]["enum"] = [known[parameter["name"]]]
    fields = changed["components"]["schemas"]["SubmitRequest"]["properties"]
    fields["name"] = {"enum": ["shop.collect"]}
    fields["queue"] = {"enum": ["images", None]}
    return changed


def test_requests_made_from_the_document(
    runner: asyncio.Runner, world: World, document: dict[str, Any]
) -> None:
    schema = schemathesis.openapi.from_dict(document)
    faults: dict[str, str] = {}

    def ask(case: Case[Any]) -> None:
        wanted = case.as_transport_kwargs(base_url="http://queue.test:8000")
        wanted.pop("cookies", None)
        if "data" in wanted:  # as httpx calls it
            wanted["content"] = wanted.pop("data")
        answer = runner.run(world.http.request(**wanted))
        try:
            case.validate_response(answer, excluded_checks=[positive_data_acceptance])
        except FailureGroup as group:
            for failure in group.exceptions:
                told = f"{case.operation.label}: {failure}"
                answered = f"{answer.status_code} {answer.text[:300]}"
                faults.setdefault(told[:100], f"{told}\n{answered}\n{wanted}")

    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        for mode in GenerationMode:
            none_is_bad = suppress(Unsatisfiable) if mode.is_negative else nullcontext()
            with none_is_bad:  # of an operation without body and parameters
                _MANY(given(found.ok().as_strategy(generation_mode=mode))(ask))()
    assert not faults, "\n\n".join(faults.values())
