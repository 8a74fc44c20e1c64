"""Lists on terminals of any width: one line for a task, and ids that can be copied."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from task_queue.cli.main import main
from task_queue.cli.session import ConnectionSettings
from task_queue.testing import FakeClock
from tests.client.conftest import URL
from tests.client.fake_api import FakeApi
from tests.client.test_operations import WORKER

Terminal = Callable[..., Result]
ID = "019bf5a0-1c3e-7c43-8a55-0123456789ab"
STATUSES = ("RUNNING", "CANCELLED", "SCHEDULED", "COMPLETED")


@pytest.fixture
def terminal(api: FakeApi, clock: FakeClock) -> Terminal:
    """Run a command in a terminal of so many columns; None: stdout is no terminal."""

    def run(width: int | None, *words: str) -> Result:
        settings = ConnectionSettings(
            URL, transport=httpx.MockTransport(api), clock=clock, sleep=clock.advance, width=width
        )
        return CliRunner().invoke(main, words, obj=settings)

    return run


def submit_some(api: FakeApi, terminal: Terminal, error: bool = False) -> list[str]:
    """A task in each status, with real ids, long names and long errors. The ids."""
    for _ in STATUSES:
        terminal(None, "submit", "image_job.thumbnail_from_flaky_storage", "--queue", "images")
    views: list[dict[str, Any]] = list(api.tasks.values())
    for number, view in enumerate(views):
        view.update(task_id=f"{ID[:-1]}{number}", status=STATUSES[number])
        if error:
            view["error"] = {"type": "OSError", "message": "no such\nfile " * 20, "traceback": ""}
    return [view["task_id"] for view in views]


@pytest.mark.parametrize("error", [False, True])
@pytest.mark.parametrize("width", [72, 80, 100, 120, 160, 250])
def test_a_task_has_one_line_with_its_whole_id_and_status(
    api: FakeApi, terminal: Terminal, width: int, error: bool
) -> None:
    ids = submit_some(api, terminal, error)
    lines = terminal(width, "list").stdout.splitlines()
    assert len(lines) == 2 + len(ids)
    assert all(len(line.rstrip()) <= width for line in lines)
    for line, task_id, status in zip(lines[2:], ids, STATUSES, strict=True):
        assert line.split()[:2] == [task_id, status]
        assert "image_job" in line


def test_80_columns_say_what_they_leave_out(api: FakeApi, terminal: Terminal) -> None:
    submit_some(api, terminal, error=True)
    result = terminal(80, "list")
    assert result.stdout.splitlines()[0].split() == ["task", "status", "name", "error"]
    assert "no room for queue, priority, attempt, submitted" in result.stderr
    assert "OSError" in result.stdout and "…" in result.stdout


def test_a_wide_terminal_has_every_column(api: FakeApi, terminal: Terminal) -> None:
    submit_some(api, terminal)
    result = terminal(160, "list")
    assert result.stdout.splitlines()[0].split() == [
        "task", "status", "name", "queue", "priority", "attempt", "submitted", "error",
    ]  # fmt: skip
    assert "image_job.thumbnail_from_flaky_storage" in result.stdout
    assert result.stderr == ""


def test_an_id_is_whole_even_where_it_has_no_room(api: FakeApi, terminal: Terminal) -> None:
    ids = submit_some(api, terminal)
    assert all(task_id in terminal(20, "list").stdout for task_id in ids)


def test_a_pipe_gets_everything_on_one_line(api: FakeApi, terminal: Terminal) -> None:
    submit_some(api, terminal, error=True)
    lines = terminal(None, "list").stdout.splitlines()
    assert len(lines) == 2 + len(STATUSES)
    assert all(line.count("no such file") == 20 for line in lines[2:])


@pytest.mark.parametrize("width", [60, 80])
def test_a_worker_has_one_line(api: FakeApi, terminal: Terminal, width: int) -> None:
    worker = {**WORKER, "worker_id": "images-on-a-large-machine-1", "hostname": "host" * 10}
    api.canned = {"GET /api/v1/workers": {"workers": [worker]}}
    lines = terminal(width, "workers").stdout.splitlines()
    assert len(lines) == 3 and "images-on-a-large-machine-1" in lines[2] and "1/4" in lines[2]
    assert all(len(line.rstrip()) <= width for line in lines)
