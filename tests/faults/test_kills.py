"""kill -9 of each kind of process under load: nothing lost, nothing finished twice.

The clients say what was accepted, the tasks' own ledger says what ran, the store says what ended.
The three must agree.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from task_queue.client.client import Client
from task_queue.client.submission import submit_request
from task_queue.errors import QueueUnreachable, RequestRefused
from task_queue.wire import TaskView
from tests.faults.own_cluster import Killer, OwnCluster
from tests.until import until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(500)]

_SECONDS = 0.02
_WORKERS = 2
_IN_FLIGHT = 2 * _WORKERS  # in their slots; what they have read ahead has not begun
_SUPERVISORS = 5


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnCluster]:
    made = OwnCluster(tmp_path_factory.mktemp("cluster"))
    try:
        made.up()
        yield made
    finally:
        made.end()


class Load:
    """Submits one task after the other until told to stop; remembers what was accepted."""

    def __init__(self, cluster: OwnCluster, name: str) -> None:
        self.name = name
        self.ledger = cluster.folder / f"{name}.ledger"
        self.accepted: dict[str, str] = {}  # key to task id
        self._client = cluster.client()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._submit_for_ever)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._client.close()

    def wait_for(self, count: int, seconds: float = 60.0) -> None:
        """Wait until `count` more tasks were accepted."""
        target = len(self.accepted) + count
        until(lambda: len(self.accepted) >= target, seconds, f"{count} more accepted tasks")

    def _submit_for_ever(self) -> None:
        number = 0
        while not self._stop.is_set():
            key = f"{self.name}-{number}"
            if self._submit(key):
                number += 1
            self._stop.wait(0.004)  # about half of what the workers can do

    def _submit(self, key: str) -> bool:
        """Try until the answer is known: the key makes a repetition harmless."""
        request = submit_request(
            "ledger.write", str(self.ledger), key, _SECONDS, idempotency_key=key, tags=[self.name]
        )
        try:
            self.accepted[key] = self._client.submit_many([request])[0].task_id
        except (QueueUnreachable, RequestRefused):
            return False
        return True


def _victims(cluster: OwnCluster, title: str) -> list[psutil.Process]:
    """The processes of that title, once there are any: the last kill may have been just now."""
    found: list[psutil.Process] = []

    def are_there() -> bool:
        found[:] = cluster.processes(title)
        return bool(found)

    until(are_there, 60.0, f"a process called {title}")
    return found


def _kill_executor(cluster: OwnCluster) -> None:
    cluster.kill(_victims(cluster, "task_queue/executor/launch.py")[:1])


def _kill_worker(cluster: OwnCluster) -> None:
    cluster.kill(_victims(cluster, "ray::WorkerActor")[:1])


def _kill_scheduler(cluster: OwnCluster) -> None:
    cluster.kill(_victims(cluster, "ray::SchedulerActor"))


def _kill_supervisor(cluster: OwnCluster) -> None:
    cluster.kill(_victims(cluster, "ray::SupervisorActor"))


def _kill_replica(cluster: OwnCluster) -> None:
    cluster.kill(_victims(cluster, "ray::ServeReplica"))


def _kill_everything(cluster: OwnCluster) -> None:
    cluster.kill(cluster.processes())
    cluster.up()


@pytest.mark.parametrize(
    "kill",
    [_kill_executor, _kill_worker, _kill_scheduler, _kill_supervisor, _kill_replica,
     _kill_everything],
)  # fmt: skip
def test_kill_under_load(cluster: OwnCluster, kill: Killer) -> None:
    rounds = 1 if kill is _kill_everything else 2
    with Load(cluster, kill.__name__.strip("_")) as load:
        load.wait_for(100)
        for _ in range(rounds):
            kill(cluster)
            load.wait_for(100)
    with cluster.client() as client:
        _check(client, load, killed=rounds)


def test_each_new_supervisor_looks_after_the_workers(cluster: OwnCluster) -> None:
    """Again and again: that Ray lost the call with which it starts was a matter of moments."""
    with cluster.client() as client:
        for _ in range(_SUPERVISORS):
            _kill_supervisor(cluster)
            worker, *others = _victims(cluster, "ray::WorkerActor")
            cluster.kill([worker])
            _wait_for_another(client, worker)
            assert all(other.is_running() for other in others)


def test_a_sigterm_to_workers_and_their_supervisor_changes_nothing(cluster: OwnCluster) -> None:
    titles = ("ray::WorkerActor", "ray::SupervisorActor")
    with cluster.client() as client:
        _wait_for_another(client, psutil.Process())  # all are there
        before = {one.pid for title in titles for one in cluster.processes(title)}
        ledger = str(cluster.folder / "ledger")
        task = client.submit("ledger.write", ledger, "sigterm", 2.0)
        until(lambda: task.status() == "RUNNING", 30.0, "the task to run")
        for title in titles:
            for process in cluster.processes(title):
                process.terminate()
        assert task.result(timeout=60) == "sigterm"
        assert client.task(task.task_id).attempt == 1
        assert {one.pid for title in titles for one in cluster.processes(title)} == before
        worker = _victims(cluster, "ray::WorkerActor")[0]
        cluster.kill([worker])  # and is replaced, so the supervisor works
        _wait_for_another(client, worker)


def _wait_for_another(client: Client, worker: psutil.Process) -> None:
    def is_there() -> bool:
        active = {view.pid for view in client.workers() if view.status == "active"}
        return len(active) == _WORKERS and worker.pid not in active

    until(is_there, 60.0, "another worker in its place")


def _check(client: Client, load: Load, killed: int) -> None:
    tasks = _wait_until_over(client, load)
    # The store has each accepted task once, and each of them ended well.
    assert Counter(t.status for t in tasks) == {"COMPLETED": len(load.accepted)}
    assert {t.task_id for t in tasks} == set(load.accepted.values())
    # Each of them really ran to its end; only what was in flight at a kill may have run again.
    ends = Counter(line.split()[1] for line in _lines(load.ledger) if line.startswith("end"))
    assert set(ends) == set(load.accepted)
    again = sum(count - 1 for count in ends.values())
    assert again <= _IN_FLIGHT * killed
    starts = Counter(line.split()[1] for line in _lines(load.ledger) if line.startswith("start"))
    assert sum(count - 1 for count in starts.values()) <= _IN_FLIGHT * killed


def _wait_until_over(client: Client, load: Load) -> list[TaskView]:
    def all_over() -> bool:
        open_tasks = client.list_tasks(status="QUEUED"), client.list_tasks(status="RUNNING")
        waiting = client.list_tasks(status="RETRYING")
        return not any(next(iter(pages), None) for pages in (*open_tasks, waiting))

    until(all_over, 90.0, "all tasks to be over")
    return list(client.search(tag=load.name))


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()
