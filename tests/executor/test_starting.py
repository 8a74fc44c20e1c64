"""What children can import, and what happens when they cannot start."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors.executor_pool import ExecutorConfig, TaskModuleError

Play = Callable[..., None]
ROOT = Path(__file__).parents[2]
SAMPLES = Path(__file__).parent / "samples"


@pytest.mark.parametrize("inherited", [None, str(ROOT), f"{ROOT}{os.pathsep}/somewhere"])
def test_users_code_finds_task_queue_and_its_own_folders_only(
    play: Play, monkeypatch: pytest.MonkeyPatch, inherited: str | None
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if inherited is not None:
        monkeypatch.setenv("PYTHONPATH", inherited)

    async def story(driver: Any) -> None:
        names = ["actors", "cluster", "serve_app", "monitoring", "benchmarks"]
        assert await driver.result("importable", names) == []
        ours = ["task_queue.codec", "task_queue.ids", "sometimes_broken", "msgspec", "msgspec.json"]
        assert set(ours) - set(await driver.result("importable", ours)) == set()
        seen = await driver.result("import_path")
        assert seen["path"][0] == str(SAMPLES)
        assert str(ROOT) not in seen["path"]
        assert str(ROOT) not in (seen["env"] or "").split(os.pathsep)
        assert seen["argv"] == []

    play(story, env={"BROKEN_IF": "/nowhere"})


def test_a_child_is_light() -> None:
    heavy = ("asyncio", "httpx", "pydantic", "rich", "socket", "logging", "subprocess", "pathlib")
    script = (
        "import task_queue.executor.child, task_queue.builtin_tasks, sys; "
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {script}"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "[]\n"


def test_a_python_path_may_list_the_root_itself(play: Play) -> None:
    async def story(driver: Any) -> None:
        assert await driver.result("importable", ["actors"]) == ["actors"]

    play(story, python_path=[str(SAMPLES), str(ROOT)])


def test_env_is_set_for_children(play: Play) -> None:
    async def story(driver: Any) -> None:
        assert await driver.result("environment", "FOR_CHILDREN") == "yes"
        assert "FOR_CHILDREN" not in os.environ

    play(story, env={"FOR_CHILDREN": "yes"})


@pytest.mark.parametrize(
    ("module", "reason", "output"),
    [
        ("needs_missing", "ModuleNotFoundError: No module named 'no_such_library'", ""),
        ("no_such_module", "ModuleNotFoundError: No module named 'no_such_module'", ""),
        ("exits_on_import", "exited with code 7", "about to exit"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named(
    make_driver: Any, module: str, reason: str, output: str
) -> None:
    async def scene() -> TaskModuleError:
        driver = make_driver(task_modules=["sample_tasks", module])
        try:
            with pytest.raises(TaskModuleError) as caught:
                await driver.pool.start()
        finally:
            await driver.pool.stop(0.0)
        return caught.value

    error = asyncio.run(scene())
    assert error.module == module
    assert f"'{module}' cannot be imported" in str(error)
    assert reason in str(error)
    assert output in error.output
    if module == "needs_missing":
        assert "import no_such_library" in error.traceback
        assert "importlib" not in error.traceback


def test_an_import_that_takes_too_long_is_ended(make_driver: Any) -> None:
    async def scene() -> None:
        driver = make_driver(task_modules=["never_ready"], start_timeout_seconds=0.001)
        with pytest.raises(TaskModuleError, match=r"not ready after 0\.001 s"):
            await driver.pool.start()
        await driver.pool.stop(0.0)

    asyncio.run(scene())


def test_while_children_cannot_start_nothing_is_kept_or_wanted(play: Play, tmp_path: Path) -> None:
    mark = tmp_path / "broken"

    async def story(driver: Any) -> None:
        mark.touch()
        driver.give("ends", "exit")
        waiting = driver.give("add", 1)
        assert (await driver.report(waiting)).outcome == "released"
        assert driver.pool.wanted_leases() == 0
        assert "broken for now" in str(driver.pool.start_error)
        late = driver.give("add", 1)
        assert (await driver.report(late)).outcome == "released"
        mark.unlink()
        await driver.until(lambda: driver.pool.wanted_leases() > 0, "a start that works")
        assert driver.pool.start_error is None
        assert await driver.result("add", 1) == 1

    play(story, task_modules=["sample_tasks", "sometimes_broken"], env={"BROKEN_IF": str(mark)})


def test_a_config_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="slots is 0"):
        ExecutorConfig(slots=0)
    with pytest.raises(ValueError, match="recycle_after_tasks is 0"):
        ExecutorConfig(slots=1, recycle_after_tasks=0)
