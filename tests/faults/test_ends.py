"""What ends under a task, or is about to: its executor, its worker, the machine of its worker.

One cluster for all of it: a head with room for one worker, and machines that join for a while.
"""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from task_queue.client.client import Client
from task_queue.client.handle import TaskHandle
from task_queue.clock import from_rfc3339
from task_queue.wire import TimelineView, WorkerView
from tests.faults.joined_node import JoinedNode
from tests.faults.own_cluster import OwnCluster
from tests.until import until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

_SLOTS = 2
_NODE_SECONDS = 7  #: from the word that a machine goes until it does
_SHORT_TASKS = 10


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnCluster]:
    pool = {
        "task_modules": ["ledger_tasks"], "python_path": [str(Path(__file__).parent)],
        "min_workers": 1, "max_workers": 2, "slots": _SLOTS, "num_cpus": 1, "drain_seconds": 2.0,
    }  # fmt: skip
    scale = {"target_wait_seconds": 0.2, "idle_seconds": 600.0}
    made = OwnCluster(tmp_path_factory.mktemp("cluster"), pools={"default": pool}, autoscaler=scale)
    made.configure(ray={"num_cpus": 1})
    try:
        made.up()
        yield made
    finally:
        made.end()


@pytest.fixture
def client(cluster: OwnCluster) -> Iterator[Client]:
    with cluster.client() as made:
        yield made


@pytest.fixture
def node(cluster: OwnCluster) -> Iterator[JoinedNode]:
    made = JoinedNode(cluster, num_cpus=1, drain_seconds=_NODE_SECONDS)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def stage(client: Client, node: JoinedNode, tmp_path: Path) -> Iterator["Stage"]:
    made = Stage(client, node, tmp_path)
    try:
        made.fill()
        yield made
    finally:
        made.open_all()  # whatever went wrong, the next test finds free slots


# ---- executors and workers -----------------------------------------------------------------


def test_a_task_that_ends_its_executors_is_put_aside_and_says_how_they_ended(
    cluster: OwnCluster, client: Client, tmp_path: Path
) -> None:
    falls = tmp_path / "falls"
    task = client.submit("ledger.fall", str(falls), ["exit", "segv", "kill"])
    until(lambda: task.status() == "FAILED", 30.0, "the task to be put aside")
    view = task.task()
    assert (view.in_dlq, view.failures) == (True, 0)  # none of it was a failure of the task
    assert view.error is not None
    assert view.error.type == "Quarantined"
    assert "the last: ExecutorDied: killed by signal 9 (SIGKILL) that some" in view.error.message
    deaths = _events(client, task, "attempt_died")
    causes = ["exited with code 3", "killed by signal 11 (SIGSEGV)", "killed by signal 9 (SIGKILL)"]
    for death, cause in zip(deaths, causes, strict=True):
        assert cause in death.message
    _tell("executor's end noticed", falls, deaths)
    metrics = httpx.get(f"{cluster.url}/metrics").text
    for event, count in (("died", 3), ("failed", 1)):
        labels = f'event="{event}",queue="default",task="ledger.fall"'
        assert f"task_queue_tasks_total{{{labels}}} {count}.0" in _sorted_labels(metrics)


def test_the_death_of_a_worker_is_noticed_at_once_and_costs_no_attempt(
    client: Client, tmp_path: Path
) -> None:
    falls = tmp_path / "falls"
    task = client.submit("ledger.fall", str(falls), ["worker"])
    assert task.result(timeout=60) == 2  # though it may not be retried
    assert task.task().failures == 0
    deaths = _events(client, task, "attempt_died")
    assert [death.attempt for death in deaths] == [1]
    assert "was lost: ActorDiedError" in deaths[0].message
    _tell("worker's end noticed", falls, deaths)


# ---- machines ------------------------------------------------------------------------------


def _drain_node(node: JoinedNode) -> None:
    node.drain(_NODE_SECONDS)


def _end_its_start(node: JoinedNode) -> None:
    """As for a pod that is deleted, or a machine that shuts down: of spot machines as well."""
    node.process.send_signal(signal.SIGTERM)


@pytest.mark.parametrize("announce", [_drain_node, _end_its_start])
def test_a_machine_that_is_about_to_go_costs_no_attempt(
    client: Client, node: JoinedNode, stage: "Stage", announce: Callable[[JoinedNode], None]
) -> None:
    short = stage.wait_behind()
    announce(node)
    told_at = time.monotonic()
    until(lambda: stage.status() != "active", 5.0, "the worker to be told")
    print(f"the worker was told after {time.monotonic() - told_at:.2f} s")
    stage.open(stage.on_node[0])
    until(lambda: not stage.process.is_running(), _NODE_SECONDS, "the worker to be gone")
    gone_after = time.monotonic() - told_at
    print(f"the worker was gone after {gone_after:.2f} s of {_NODE_SECONDS}")
    assert gone_after < _NODE_SECONDS
    until(lambda: stage.view().status == "ended", 20.0, "an orderly end of the worker")
    stage.open_all()
    finished, interrupted = stage.on_node
    assert finished.result(timeout=30) == 1  # it had the time
    assert interrupted.result(timeout=30) == 2  # though it may not be retried
    (released,) = _events(client, interrupted, "attempt_released")
    assert "Interrupted" in released.message
    assert [task.result(timeout=30) for task in short] == [
        f"short-{n}" for n in range(_SHORT_TASKS)
    ]
    stage.check_ends()


def test_a_machine_that_is_stopped_without_notice_costs_no_attempt_either(
    client: Client, node: JoinedNode, stage: "Stage"
) -> None:
    node.raylet.send_signal(signal.SIGTERM)  # as `ray stop` does
    until(lambda: stage.view().status == "lost", 10.0, "the worker to be lost")
    stage.open_all()
    for task in stage.on_node:
        assert task.result(timeout=30) == 2
        (released,) = _events(client, task, "attempt_released")
        assert "terminated expectedly: received SIGTERM" in released.message
        assert _events(client, task, "attempt_died") == []
    stage.check_ends()


class Stage:
    """Two workers whose slots are all taken, by tasks that wait for the test: one of the head, and
    one of a machine that joined."""

    def __init__(self, client: Client, node: JoinedNode, folder: Path) -> None:
        self._client = client
        self._node = node
        self._folder = folder
        self._ledger = folder / "ledger"
        self._ledger.touch()
        self._tasks: dict[str, TaskHandle[int]] = {}
        self._gates: dict[str, Path] = {}

    def fill(self) -> None:
        """Returns when all slots are taken."""
        # So that a worker that ran short tasks before asks for no more than it can run at once.
        slow = self._submit_writes("slow", _SLOTS, 2.0)
        for task in slow:
            task.result(timeout=30)
        for running in (_SLOTS, 2 * _SLOTS):  # those of the first worker, then those of the second
            while len(self._tasks) < running:
                self._submit_hold()
            self._wait_for_starts(running)
        (self.process,) = self._node.workers()
        until(lambda: len(self._running()) == _SLOTS, 30.0, "the API to tell of its tasks")
        #: The tasks of the worker on the machine that joined.
        self.on_node = [self._tasks[task_id] for task_id in self._running()]

    def _running(self) -> list[str]:
        """Of the worker on the machine that joined, as the API knows it: a moment late."""
        for worker in self._client.workers():
            if worker.pid == self.process.pid:
                self._worker_id = worker.worker_id
                return list(worker.running)
        return []

    def wait_behind(self) -> list[TaskHandle[str]]:
        """Tasks that find no free slot."""
        return self._submit_writes("short", _SHORT_TASKS, 0.01)

    def _submit_writes(self, name: str, count: int, seconds: float) -> list[TaskHandle[str]]:
        return [
            self._client.submit("ledger.write", str(self._folder / name), f"{name}-{n}", seconds)
            for n in range(count)
        ]

    def _submit_hold(self) -> None:
        gate = self._folder / f"gate-{len(self._tasks)}"
        task = self._client.submit("ledger.hold", str(self._ledger), str(gate))
        self._tasks[task.task_id], self._gates[task.task_id] = task, gate

    def view(self) -> WorkerView:
        return self._client.worker(self._worker_id)

    def status(self) -> str:
        return self.view().status

    def open(self, task: "TaskHandle[int]") -> None:
        self._gates[task.task_id].touch()

    def open_all(self) -> None:
        for task in self._tasks.values():
            self.open(task)

    def check_ends(self) -> None:
        """Each of the tasks came to its end, and none twice."""
        for task in self._tasks.values():
            task.result(timeout=30)
        ends = Counter(line.split()[1] for line in self._ledger.read_text().splitlines()
                       if line.startswith("end"))  # fmt: skip
        assert ends == Counter(str(gate) for gate in self._gates.values())

    def _wait_for_starts(self, count: int) -> None:
        def have_started() -> bool:
            return self._ledger.read_text().count("start") == count

        until(have_started, 60.0, f"{count} tasks to run")


def _events(client: Client, task: "TaskHandle[int]", kind: str) -> list[TimelineView]:
    return [event for event in client.events(task.task_id) if event.kind == kind]


def _tell(what: str, falls: Path, deaths: list[TimelineView]) -> None:
    """Print how long after each fall its death was noted; times of one machine's clock, in ms."""
    began = [float(line) for line in falls.read_text().split()][: len(deaths)]
    waits = [from_rfc3339(death.at) - at for death, at in zip(deaths, began, strict=True)]
    print(f"{what} after {', '.join(f'{wait * 1000:.0f}' for wait in waits)} ms")
    assert max(waits) < 2.0


def _sorted_labels(metrics: str) -> str:
    """The text with the labels of each series in the order of their names."""
    lines = []
    for line in metrics.splitlines():
        name, brace, rest = line.partition("{")
        labels, end, value = rest.partition("}")
        lines.append(f"{name}{brace}{','.join(sorted(labels.split(',')))}{end}{value}")
    return "\n".join(lines)
