"""The processes of a cluster are found however well they hide, and nobody else's are."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cluster.local_ray import (
    CLUSTER_ID,
    cluster_processes,
    end_cluster_processes,
    has_raylet,
)
from tests.until import until

_ID = f"test-{os.getpid()}"
_SLEEP = "import time; time.sleep(300)"


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()
    end_cluster_processes(_ID)


def _start(*command: str, **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, **options)  # type: ignore[call-overload, no-any-return]


def test_a_descendant_without_an_environment_belongs(
    started: list[subprocess.Popen[bytes]],
) -> None:
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_SLEEP!r}], env={{}})"
    parent = _start(sys.executable, "-c", script, env={**os.environ, CLUSTER_ID: _ID})
    started.append(parent)
    until(lambda: len(cluster_processes(_ID)) == 2, 20.0, "two processes")
    children = [child.pid for child in psutil.Process(parent.pid).children()]
    assert {p.pid for p in cluster_processes(_ID)} == {parent.pid, *children}
    assert end_cluster_processes(_ID) == 2
    assert cluster_processes(_ID) == []


def test_an_orphan_belongs_by_the_log_that_it_writes(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    session, other = tmp_path / "session_1", tmp_path / "session_11"
    agent = tmp_path / "ray::Agent"
    agent.symlink_to("/bin/sleep")
    for folder in (session, other):
        folder.mkdir()
        with (folder / "agent.out").open("wb") as log:
            started.append(_start(str(agent), "300", env={}, stdout=log))
    with (session / "agent.out").open("rb") as log:  # somebody reads what it writes
        started.append(_start("/bin/sleep", "300", env={}, stdin=log))
    until(
        lambda: [p.pid for p in cluster_processes(_ID, str(session))] == [started[0].pid],
        20.0, "the agent to be found",
    )  # fmt: skip
    assert cluster_processes(_ID) == []


def test_a_head_without_its_raylet_is_told_from_a_whole_one(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    environment = {**os.environ, CLUSTER_ID: _ID}
    for name in ("gcs_server", "raylet"):
        (tmp_path / name).symlink_to("/bin/sleep")
        started.append(_start(str(tmp_path / name), "300", env=environment))
    until(lambda: has_raylet(_ID), 20.0, "the raylet")
    raylet = started[-1]
    raylet.kill()
    raylet.wait()
    assert len(cluster_processes(_ID)) == 1
    assert not has_raylet(_ID)
