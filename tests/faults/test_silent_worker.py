"""A worker that hangs is replaced when its lease is over; it does not have to die first."""

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from task_queue.client.handle import TaskHandle
from tests.faults.own_cluster import OwnCluster
from tests.until import until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(500)]

_TASKS = 20
_LEASE_SECONDS = 3.0


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[OwnCluster]:
    # Of 4 CPUs: the replacement finds room only when the CPUs of the stopped one are free again.
    pool = {
        "task_modules": ["ledger_tasks"], "python_path": [str(Path(__file__).parent)],
        "min_workers": 1, "max_workers": 1, "slots": 2, "num_cpus": 3, "drain_seconds": 2.0,
    }  # fmt: skip
    leases = {"lease_seconds": _LEASE_SECONDS, "poll_seconds": 1.0}
    made = OwnCluster(tmp_path, pools={"default": pool}, leases=leases)
    try:
        made.up()
        yield made
    finally:
        made.end()


def test_a_stopped_worker_is_replaced_and_its_tasks_end_elsewhere(cluster: OwnCluster) -> None:
    ledger = cluster.folder / "ledger"
    stopped = cluster.processes("ray::WorkerActor")[0]
    with cluster.client() as client:

        def submit(name: str) -> list[TaskHandle[str]]:
            return [
                client.submit("ledger.write", str(ledger), f"{name}-{number}", 0.05)
                for number in range(_TASKS)
            ]

        before = submit("before")
        before[3].result(timeout=90)
        stopped.send_signal(signal.SIGSTOP)
        try:
            keys = [handle.result(timeout=90) for handle in [*before, *submit("after")]]
        finally:
            _continue(stopped)
        assert len(keys) == 2 * _TASKS
    replacement = [p for p in cluster.processes("ray::WorkerActor") if p.pid != stopped.pid]
    assert len(replacement) == 1
    until(lambda: not stopped.is_running(), 30.0, "the stopped worker to be gone")


def _continue(process: psutil.Process) -> None:
    try:
        process.send_signal(signal.SIGCONT)
    except psutil.NoSuchProcess:
        return  # Ray has killed it meanwhile
