"""Commits to a SQLite store for ever and says what is committed: to be killed by a test."""

import sys
from itertools import count
from pathlib import Path

from task_queue.core.effects import Changes
from task_queue.core.status import Status
from task_queue.store.sqlite import SqliteStore
from tests.store.databases import NOW, a_task, an_ending


def main() -> None:
    store = SqliteStore(Path(sys.argv[1]))
    store.take_over()
    for first in count(1, 4):
        tasks = [a_task(first + i, arguments=b"x" * 3_000) for i in range(3)]
        over = a_task(first + 3, Status.COMPLETED, attempt=1, finished_at=NOW)
        changes = Changes(inserted=[*tasks, over], ended=[an_ending(over)])
        store.commit(changes)
        sys.stdout.write(" ".join(task.spec.id for task in changes.inserted) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
