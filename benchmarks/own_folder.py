"""A folder for one benchmark, on the disk on which the queue keeps its data by default."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def own_folder() -> Iterator[Path]:
    """A new folder below .task-queue/, removed afterwards."""
    parent = ROOT / ".task-queue"
    parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix="tq-bench-", dir=parent, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)
