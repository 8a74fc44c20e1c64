"""Every curl in docs/operations.md, against a queue with a backlog, a failed task and a worker."""

import re
from pathlib import Path

import pytest

from tests.serve_app.api_world import World

pytestmark = pytest.mark.anyio

_RUNBOOK = Path(__file__).parent.parent.parent / "docs" / "operations.md"
_CURL = re.compile(r'^curl "?http://localhost:8000(/[^"\s]*)"?$', re.MULTILINE)


async def test_every_command_answers_and_shows_the_state(world: World) -> None:
    await world.worker("w1")
    failed = await world.submit()
    await world.fail(failed)
    running = await world.submit()
    await world.claim()
    for _ in range(3):
        await world.submit(priority=9)
    paths = _CURL.findall(_RUNBOOK.read_text())
    assert len(paths) == len(re.findall(r"^curl ", _RUNBOOK.read_text(), re.MULTILINE)) > 0
    answers: dict[str, str] = {}
    for path in paths:
        answer = await world.http.get(path.replace("{worker_id}", "w1"))
        assert answer.status_code == 200, f"{path}: {answer.text}"
        answers[path] = answer.text

    def shows(start: str, text: str) -> None:
        (found,) = [body for path, body in answers.items() if path.startswith(start)]
        assert text in found, f"{start}: {found}"

    shows("/api/v1/tasks?status=RUNNING", running)
    shows("/api/v1/search/tasks?status=FAILED", failed)
    shows("/api/v1/tasks?in_dlq=true", failed)
    shows("/api/v1/analytics/trends", "OSError")
    shows("/api/v1/metrics/workers/", 'worker:error_rate{worker_id="w1"} 1.0')
    depth = (await world.http.get("/api/v1/dashboard/queue-depth")).json()
    assert depth["by_priority"] == {"high": 3, "normal": 0, "low": 0}
