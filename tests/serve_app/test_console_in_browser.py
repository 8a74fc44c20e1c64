"""The web console in a real Chromium, against the real API: what a person would read on it."""

import asyncio
import os
import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn

from serve_app import bounded_search, routes_search
from tests.serve_app.api_world import World

pytestmark = pytest.mark.anyio

_CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
_SECONDS = 60.0


@pytest.fixture
def store_kind() -> str:
    return "memory"  # the store makes no difference to a browser


@asynccontextmanager
async def served(world: World) -> AsyncIterator[str]:
    """The world's API on a port of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(world.app, lifespan="off", log_level="warning"))
    serving = asyncio.get_running_loop().create_task(server.serve([listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


async def read(url: str, folder: Path, milliseconds: int = 5_000) -> str:
    """The text of a page after its scripts have run and asked the API, for so long."""
    if _CHROMIUM is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is missing: 'make test' installs it")
        pytest.skip("needs Chromium")
    process = await asyncio.create_subprocess_exec(
        _CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu",
        f"--virtual-time-budget={milliseconds}",
        f"--user-data-dir={folder}", "--dump-dom", url,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    async with asyncio.timeout(_SECONDS):
        out, _ = await process.communicate()
    assert process.returncode == 0
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", out.decode()))


async def test_queues_workers_and_health_are_on_the_first_page(
    world: World, tmp_path: Path
) -> None:
    await world.worker("w-7")
    await world.submit("shop.thumbnail", args=["cat.png"])
    async with served(world) as url:
        text = await read(f"{url}/ui", tmp_path)
    assert "healthy" in text
    assert "images open 1" in text  # its state and how many tasks wait
    assert "w-7" in text


async def test_a_failed_task_shows_its_error_as_text(world: World, tmp_path: Path) -> None:
    await world.worker()
    task_id = await world.submit("shop.thumbnail", args=["cat.png"])
    await world.fail(task_id, "<img src=x onerror=alert(1)> no such file")
    async with served(world) as url:
        dead = await read(f"{url}/ui#dead-letters", tmp_path / "a")
        panel = await read(f"{url}/ui#tasks?task={task_id}", tmp_path / "b")
    assert "OSError" in dead and "no such file" in dead
    assert "&lt;img src=x onerror=alert(1)&gt;" in dead
    assert "attempt failed" in panel and task_id in panel


async def test_a_long_search_goes_on_by_itself_to_the_task_that_matches(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_search, "SEARCH_SECONDS", 0.0)
    monkeypatch.setattr(bounded_search, "FIRST_PART", 2)
    rare = await world.submit("shop.thumbnail", args=["rare.png"], tags=["rare"])
    for _ in range(9):
        await world.submit("shop.collect")
    async with served(world) as url:
        text = await read(f"{url}/ui#tasks?q=rare", tmp_path)
    assert "shop.thumbnail" in text and rare[-4:] in text
    assert (
        "shop.collect" not in text.partition("Tasks, newest first")[2].partition("Search again")[0]
    )
    assert re.search(r"Page 1, as of [0-9-]+ [0-9:]+ UTC", text)


async def test_a_search_that_is_not_over_says_how_far_it_got(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfinished = bounded_search.Found([], 5, world.clock.now())
    monkeypatch.setattr(routes_search, "bounded_search", lambda *_: unfinished)
    await world.submit("shop.thumbnail", args=["cat.png"])
    async with served(world) as url:
        text = await read(f"{url}/ui#tasks?q=cat", tmp_path, 500)
    assert "None so far." in text
    assert "Page 1, looked back to 2023-11-14 22:13:20 UTC, going on" in text
