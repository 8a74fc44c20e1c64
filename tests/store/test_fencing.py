"""Of two processes with one database, the one that took over last is the only one that commits."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from task_queue.store import open_store
from tests.store.databases import NewPostgres, a_task, inserted
from tests.store.obeying_child import STALE

_REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_frozen_process_that_wakes_up_commits_nothing(
    kind: str, tmp_path: Path, new_postgres: NewPostgres
) -> None:
    url = new_postgres() if kind == "postgres" else f"sqlite:///{tmp_path}/queue.db"
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.store.obeying_child", url],
        cwd=_REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "1\n"
        child.stdin.write("1\n")
        child.stdin.flush()
        assert child.stdout.readline() == "1\n"
        child.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED)
        child.stdin.write("2\n")  # what it will do as soon as it wakes up
        child.stdin.flush()

        store = open_store(url)
        assert store.take_over() == 2
        store.commit(inserted(a_task(3)))
        child.send_signal(signal.SIGCONT)
        assert child.wait(30) == STALE
        assert [task.seq for task in store.load().tasks] == [1, 3]
        store.close()
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()
