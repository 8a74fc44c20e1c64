"""`import task_queue`: its names, and that they cost nothing until they are used."""

import importlib
import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import task_queue

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", task_queue.__all__)
def test_every_public_name_is_there(name: str) -> None:
    if name == "current_task" and importlib.util.find_spec("task_queue.context") is None:
        pytest.skip("task_queue.context is not there yet")
    assert getattr(task_queue, name).__name__ == name
    assert name in dir(task_queue)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'Clint'"):
        _ = task_queue.Clint


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import task_queue", {"httpx", "rich", "pydantic", "click", "msgspec"}),
        ("from task_queue import task, Retry", {"httpx", "rich", "pydantic", "click"}),
        ("from task_queue import Client", {"pydantic", "ray"}),  # httpx itself imports click
    ],
)
def test_an_import_brings_nothing_that_it_does_not_need(statement: str, absent: set[str]) -> None:
    code = f"{statement}; import sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert not absent & set(done.stdout.split())


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["version"] == task_queue.__version__


def test_the_package_is_typed() -> None:
    assert (ROOT / "task_queue" / "py.typed").exists()
