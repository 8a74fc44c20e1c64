"""How each fault is done to the processes of one queue. Blocking: called in threads."""

import signal
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import psutil

from cluster.chaos.connections import cut_connections, listening_ports
from cluster.chaos.plan import PAUSES, WIDE, Fault, FaultKind
from cluster.chaos.victims import Victims

#: Does a fault, and returns what it hit; empty if there was nothing to hit.
Blow = Callable[[Fault], str]

_KILLS = (
    FaultKind.EXECUTOR, FaultKind.WORKER, FaultKind.SCHEDULER, FaultKind.SUPERVISOR,
    FaultKind.REPLICA,
)  # fmt: skip
_OWN_PAUSES = [kind for kind in PAUSES if kind is not FaultKind.POSTGRES_PAUSE]
_RAY_PORTS = range(10_002, 20_000)  #: of gRPC, as Ray gives them to its workers
_VICTIM_SECONDS = 10.0  #: to come back from the blow before; on a busy machine it takes a while
_LOOK_SECONDS = 0.1

T = TypeVar("T")


def process_blows(
    victims: Victims, http_port: int, database_port: int | None, up: Callable[[], None]
) -> Mapping[FaultKind, Blow]:
    """What can be done to a queue whose processes all run on this machine.

    Args:
        database_port: of its PostgreSQL; None if it has none.
        up: starts again what was taken down, and returns when it is healthy.
    """

    def kill(fault: Fault) -> str:
        return _send(_picked(victims, fault), signal.SIGKILL)

    def pause(fault: Fault) -> str:
        process = _picked(victims, fault)
        told = _send(process, signal.SIGSTOP)
        try:
            time.sleep(fault.seconds if told else 0.0)
        finally:
            woken = _send(process, signal.SIGCONT)
        return told and f"{told}, {'woken' if woken else 'ended meanwhile'}"

    def take_down(fault: Fault) -> str:
        process = _picked(victims, fault)
        below = _below(process)
        told = _send(process, signal.SIGKILL)
        for each in below:
            _send(each, signal.SIGKILL)
        time.sleep(fault.seconds)
        up()
        return told and f"{told} and {len(below)} below it"

    def cut_streams() -> int:
        schedulers = victims.of(FaultKind.SCHEDULER)
        ports = listening_ports(schedulers) - set(_RAY_PORTS)
        return cut_connections(schedulers, ports.__contains__)

    def cut_clients() -> int:
        return cut_connections(victims.all(), lambda port: port == http_port)

    def cut_database() -> int:
        return cut_connections(victims.all(), lambda port: port == database_port)

    blows: dict[FaultKind, Blow] = dict.fromkeys(_KILLS, kill)
    blows |= dict.fromkeys(_OWN_PAUSES, pause) | dict.fromkeys(WIDE, take_down)
    blows |= {FaultKind.STREAMS: _insisting(cut_streams)}
    blows |= {FaultKind.CLIENTS: _insisting(cut_clients)}
    if database_port is not None:
        blows[FaultKind.DATABASE_CONNECTIONS] = _insisting(cut_database)
    return blows


def _picked(victims: Victims, fault: Fault) -> psutil.Process | None:
    """The one that the plan picked among those there are."""
    found = _some(lambda: victims.of(fault.kind))
    return found[fault.pick % len(found)] if found else None


def _insisting(cut: Callable[[], int]) -> Blow:
    """Cuts what there is as soon as there is something."""

    def blow(_: Fault) -> str:
        count = _some(cut)
        return f"{count} connections" if count else ""

    return blow


def _some(look: Callable[[], T]) -> T:
    """What there is to hit, given a little time to come back from the blow before."""
    deadline = time.monotonic() + _VICTIM_SECONDS
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
    return found


def _below(process: psutil.Process | None) -> list[psutil.Process]:
    try:
        return process.children(recursive=True) if process is not None else []
    except psutil.NoSuchProcess:
        return []


def _send(process: psutil.Process | None, number: signal.Signals) -> str:
    """Which process it was; empty if there is none any more."""
    try:
        if process is not None:
            process.send_signal(number)
            return f"pid {process.pid}"
    except psutil.NoSuchProcess:
        return ""
    return ""
