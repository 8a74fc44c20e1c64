"""The web console over HTTP: its files and the rules under which a browser runs them."""

import re
from pathlib import Path

import httpx
import pytest

from serve_app import routes_console
from serve_app.routes_console import PAGE_PATH
from tests.serve_app.api_world import World, problem
from tests.serve_app.conftest import MakeWorld
from tests.serve_app.test_edge import KEY

pytestmark = pytest.mark.anyio

_FOLDER = Path(routes_console.__file__).with_name("console")
_LOADS = re.compile(r"(?:src|href)=\"(ui/[^\"]+)\"|from \"\./([^\"]+)\"")


async def page(world: World, path: str = PAGE_PATH, **headers: str) -> httpx.Response:
    return await world.http.get(path, headers=headers)


async def test_the_page_and_all_that_it_loads_are_served(world: World) -> None:
    seen, todo = set(), {PAGE_PATH}
    while todo:
        path = todo.pop()
        seen.add(path)
        answer = await page(world, path)
        assert answer.status_code == 200, path
        for below, beside in _LOADS.findall(answer.text):
            todo |= {f"/{below}" if below else f"{PAGE_PATH}/{beside}"} - seen
    served = {path.removeprefix(f"{PAGE_PATH}/") for path in seen - {PAGE_PATH}}
    assert served == {file.name for file in _FOLDER.iterdir()} - {"index.html"}


async def test_only_own_files_run_in_it_and_text_never_becomes_markup(world: World) -> None:
    answer = await page(world)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


async def test_a_browser_that_has_the_file_is_told_so(world: World) -> None:
    etag = (await page(world)).headers["etag"]
    again = await page(world, **{"If-None-Match": f'W/{etag}, "other"'})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["consol.js", "__init__.py", "..%2froutes_console.py"])
async def test_what_is_not_a_file_of_the_console_is_not_found(world: World, name: str) -> None:
    problem(await page(world, f"{PAGE_PATH}/{name}"), 404)


async def test_a_misspelled_file_is_answered_with_the_nearest(world: World) -> None:
    assert "console.js" in problem(await page(world, f"{PAGE_PATH}/consol.js"), 404)


async def test_a_slash_too_many_leads_to_the_page(world: World) -> None:
    answer = await page(world, f"{PAGE_PATH}/")
    assert (answer.status_code, answer.headers["location"]) == (307, "../ui")


async def test_the_page_needs_no_key_and_its_figures_do(make_world: MakeWorld) -> None:
    world = await make_world(http={"api_keys": [KEY], "open_paths": []})
    assert (await page(world)).status_code == 200
    assert (await page(world, f"{PAGE_PATH}/console.js")).status_code == 200
    problem(await page(world, "/api/v1/queues"), 401)
