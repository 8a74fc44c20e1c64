"""Faults hit the processes that they name, in the cluster that is meant, and nobody else."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import psutil
import pytest

from cluster.chaos.blows import Blow, process_blows
from cluster.chaos.connections import CannotCut, cut_connections
from cluster.chaos.plan import PAUSES, Fault, FaultKind
from cluster.chaos.victims import Victims
from cluster.local_ray import CLUSTER_ID
from cluster.record import HeadRecord
from tests.until import until

_ID = f"chaos-test-{os.getpid()}"
_SLEEP = "import time; time.sleep(300)"
_ups: list[str] = []

Start = Callable[..., psutil.Process]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process with a title, as one of a cluster's."""
    processes: list[subprocess.Popen[bytes]] = []

    def one(title: str, cluster_id: str = _ID) -> psutil.Process:
        environment = {**os.environ, CLUSTER_ID: cluster_id}
        command = [title, "-c", _SLEEP]
        made = subprocess.Popen(command, executable=sys.executable, env=environment)
        processes.append(made)
        until(lambda: title in psutil.Process(made.pid).cmdline(), 20.0, f"{title} to run")
        return psutil.Process(made.pid)

    yield one
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def blows() -> dict[FaultKind, Blow]:
    record = HeadRecord(_ID, "127.0.0.1:1", "/nowhere")
    _ups.clear()
    victims = Victims(lambda: record)
    return dict(process_blows(victims, 1, None, lambda: _ups.append("up")))


def _ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_kill_hits_the_picked_one_of_this_cluster(
    start: Start, blows: dict[FaultKind, Blow]
) -> None:
    others = [start("ray::WorkerActor", "another-cluster"), start("ray::SchedulerActor")]
    workers = [start("ray::WorkerActor"), start("ray::WorkerActor")]
    workers.sort(key=lambda process: process.create_time())
    told = blows[FaultKind.WORKER](Fault(0.0, FaultKind.WORKER, 3, 0.0))
    until(lambda: _ended(workers[1]), 10.0, "the second worker to end")
    assert told == f"pid {workers[1].pid}"
    assert not any(map(_ended, [workers[0], *others]))


def test_a_pause_stops_for_its_time_and_lets_go_on(
    start: Start, blows: dict[FaultKind, Blow]
) -> None:
    scheduler = start("ray::SchedulerActor")
    fault = Fault(0.0, FaultKind.SCHEDULER_PAUSE, 0, 3.0)
    thread = threading.Thread(target=blows[fault.kind], args=(fault,))
    thread.start()
    until(lambda: scheduler.status() == psutil.STATUS_STOPPED, 10.0, "the pause")
    thread.join()
    until(lambda: scheduler.status() != psutil.STATUS_STOPPED, 10.0, "its end")
    assert not _ended(scheduler)


@pytest.mark.parametrize(
    "kind", [FaultKind.REPLICA, *(kind for kind in PAUSES if kind is not FaultKind.POSTGRES_PAUSE)]
)
def test_what_is_not_there_is_not_hit(
    blows: dict[FaultKind, Blow], monkeypatch: pytest.MonkeyPatch, kind: FaultKind
) -> None:
    monkeypatch.setattr("cluster.chaos.blows._VICTIM_SECONDS", 0.0)
    assert blows[kind](Fault(0.0, kind, 0, 60.0)) == ""


def test_a_raylet_goes_with_all_below_it_and_is_brought_back(
    blows: dict[FaultKind, Blow],
) -> None:
    child = f"import subprocess; subprocess.run([{sys.executable!r}, '-c', {_SLEEP!r}])"
    raylet = subprocess.Popen(
        ["/x/raylet/raylet", "-c", child], executable=sys.executable,
        env={**os.environ, CLUSTER_ID: _ID},
    )  # fmt: skip
    try:
        parent = psutil.Process(raylet.pid)
        until(lambda: bool(parent.children()), 20.0, "its child")
        (below,) = parent.children()
        told = blows[FaultKind.RAYLET](Fault(0.0, FaultKind.RAYLET, 0, 0.0))
        assert told == f"pid {raylet.pid} and 1 below it" and _ups == ["up"]
        until(lambda: _ended(parent) and _ended(below), 10.0, "both to end")
    finally:
        raylet.kill()
        raylet.wait()


_CONNECT = "import socket; print(socket.create_connection(('127.0.0.1', {port})).recv(1))"


def test_only_connections_at_the_port_that_is_meant_are_cut() -> None:
    with socket.create_server(("127.0.0.1", 0)) as meant, socket.create_server(
        ("127.0.0.1", 0)
    ) as other:  # fmt: skip
        port = meant.getsockname()[1]
        clients = [
            subprocess.Popen([sys.executable, "-c", _CONNECT.format(port=s.getsockname()[1])],
                             stdout=subprocess.PIPE)
            for s in (meant, other)
        ]  # fmt: skip
        ends = [meant.accept()[0], other.accept()[0]]
        try:
            processes = [psutil.Process(client.pid) for client in clients]
            assert cut_connections(processes, lambda number: number == port) == 1
            assert clients[0].communicate(timeout=20)[0].strip() == b"b''"
            assert ends[0].recv(1) == b""  # both ends are told
            ends[1].send(b"x")
            assert clients[1].communicate(timeout=20)[0].strip() == b"b'x'"
        finally:
            for client in clients:
                client.kill()
                client.wait()
            for end in ends:
                end.close()


def test_a_machine_that_does_not_let_us_cut_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import ctypes

    from cluster.chaos import connections

    class Refusing:
        def syscall(self, *_: int) -> int:
            ctypes.set_errno(1)
            return -1

    monkeypatch.setattr(connections, "_libc", Refusing())
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as one,
    ):
        port = one.getsockname()[1]
        with pytest.raises(CannotCut, match="ptrace_scope"):
            cut_connections([psutil.Process()], lambda number: number == port)


def test_a_stopped_process_is_killed_all_the_same(
    start: Start, blows: dict[FaultKind, Blow]
) -> None:
    supervisor = start("ray::SupervisorActor")
    supervisor.send_signal(signal.SIGSTOP)
    blows[FaultKind.SUPERVISOR](Fault(0.0, FaultKind.SUPERVISOR, 0, 0.0))
    until(lambda: _ended(supervisor), 10.0, "it to end")


def test_a_cut_waits_for_what_is_just_coming_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.chaos.blows._VICTIM_SECONDS", 60.0)
    record = HeadRecord(_ID, "127.0.0.1:1", "/nowhere")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        blow = process_blows(Victims(lambda: record), port, None, lambda: None)[FaultKind.CLIENTS]
        told: list[str] = []
        fault = Fault(0.0, FaultKind.CLIENTS, 0, 0.0)
        thread = threading.Thread(target=lambda: told.append(blow(fault)))
        thread.start()
        client = subprocess.Popen(
            [sys.executable, "-c", _CONNECT.format(port=port)], env={**os.environ, CLUSTER_ID: _ID}
        )
        try:
            end, _ = server.accept()
            thread.join()
            assert told == ["1 connections"]
            assert end.recv(1) == b""
            end.close()
        finally:
            client.kill()
            client.wait()
