"""The examples are scripts beside each other, not a package: they import one another by file name,
as workers do with `python_path`."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from task_queue.testing import InMemoryQueue


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory: the examples write below it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def client() -> Iterator[InMemoryQueue]:
    """Its tasks run when they are submitted; each attempt takes a quarter of a second."""
    with InMemoryQueue(inline=True, attempt_seconds=0.25) as queue:
        yield queue


@pytest.fixture
def console() -> Console:
    """One that prints into a string, with room for whole lines."""
    return Console(file=io.StringIO(), width=300)


@pytest.fixture
def photograph() -> Path:
    """A real one, 640 x 427 pixels."""
    import skimage

    return Path(skimage.__file__).parent / "data" / "rocket.jpg"
