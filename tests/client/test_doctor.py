"""`task-queue doctor`: each broken step is named, with its cure."""

import json
from typing import Any

import httpx
import pytest

from task_queue.testing import FakeClock
from tests.client.fake_api import FakeApi, problem
from tests.client.test_cli import Cli, cli
from tests.client.test_operations import WORKER

__all__ = ["cli"]  # the fixture

ECHO = {
    "name": "task_queue.echo", "signature": "", "doc": "", "queue": "default", "priority": 5,
    "max_retries": 3, "timeout_seconds": None, "executor": "process", "pools": ["default"],
}  # fmt: skip
QUEUE = {
    "queue": "default", "paused": False, "queued": 0, "delayed": 0, "running": 0,
    "by_priority": {}, "oldest_wait_seconds": None, "pools": ["default"],
}  # fmt: skip


@pytest.fixture(autouse=True)
def everything_works(api: FakeApi) -> None:
    api.runs = lambda request: request["args"][0]
    api.canned = {
        "GET /health": {"status": "healthy", "checks": {}},
        "GET /api/v1/dashboard/stats": {},
        "GET /api/v1/task-types": {"task_types": [ECHO]},
        "GET /api/v1/workers": {"workers": [WORKER]},
        "GET /api/v1/queues": {"queues": [QUEUE]},
    }


def failed(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("FAIL")]


def test_all_is_well(api: FakeApi, cli: Cli) -> None:
    result = cli("doctor")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 6 and failed(result.stdout) == []
    assert api.tasks["task-00000"]["name"] == "task_queue.echo"
    checks = json.loads(cli("doctor", "--json").stdout)["checks"]
    assert [check["ok"] for check in checks] == [True] * 6


@pytest.mark.parametrize(
    ("path", "answer", "line"),
    [
        (
            "GET /health",
            {"status": "unhealthy", "checks": {"database": {"status": "unhealthy"}}},
            "look at database",
        ),
        ("GET /api/v1/task-types", {"task_types": []}, "task_queue.echo is not registered"),
        ("GET /api/v1/workers", {"workers": []}, "there are no workers"),
        (
            "GET /api/v1/workers",
            {"workers": [{**WORKER, "status": "paused"}]},
            "w1 is paused",
        ),
        (
            "GET /api/v1/queues",
            {"queues": [{**QUEUE, "paused": True}]},
            "task-queue queues resume default",
        ),
    ],
)
def test_a_broken_step_is_named(api: FakeApi, cli: Cli, path: str, answer: Any, line: str) -> None:
    api.canned[path] = answer
    result = cli("doctor")
    assert result.exit_code == 1
    (fail,) = failed(result.stdout)
    assert line in fail


def test_a_task_that_nobody_runs_is_taken_back(api: FakeApi, cli: Cli, clock: FakeClock) -> None:
    api.runs = None
    start = clock.now()
    result = cli("doctor", "--wait", "4")
    assert result.exit_code == 1 and clock.now() - start == 4
    (fail,) = failed(result.stdout)
    assert "QUEUED" in fail
    assert api.tasks["task-00000"]["status"] == "CANCELLED"


def test_a_value_that_comes_back_changed_is_wrong(api: FakeApi, cli: Cli) -> None:
    api.runs = lambda request: "something else"
    (fail,) = failed(cli("doctor").stdout)
    assert "something else" in fail


def test_a_wrong_key_ends_the_checks(api: FakeApi, cli: Cli) -> None:
    healthy = httpx.Response(200, json={"status": "healthy"})
    api.troubles = [healthy, problem(401, "unknown key")]
    result = cli("doctor")
    assert result.exit_code == 1 and len(result.stdout.splitlines()) == 2
    (fail,) = failed(result.stdout)
    assert "unknown key" in fail and "TASK_QUEUE_API_KEY" in fail


def test_no_queue_at_all_ends_with_3(api: FakeApi, cli: Cli) -> None:
    api.troubles = [httpx.ConnectError("refused")]
    result = cli("doctor")
    assert result.exit_code == 3 and "python -m cluster up" in result.stderr
