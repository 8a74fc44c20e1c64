"""Cuts connections of processes that are not ours, without a proxy in between.

Linux lets a process of the same user (or root) take a copy of another one's socket. Shutting the
copy down ends the connection for both of its ends, as if the network had broken it.
"""

import ctypes
import os
import socket
from collections.abc import Callable, Iterable
from typing import Any

import psutil

from task_queue.errors import TaskQueueError

_PIDFD_GETFD = 438  # the number of this system call is the same on every architecture
_libc = ctypes.CDLL(None, use_errno=True)


class CannotCut(TaskQueueError):
    """The kernel does not hand out the sockets of other processes; the message says what helps."""


def cut_connections(
    processes: Iterable[psutil.Process], port_is_meant: Callable[[int], bool]
) -> int:
    """Cut what is connected at, or to, the ports that are meant. Returns how many sockets.

    Raises:
        CannotCut: no permission, or no Linux.
    """
    cut = 0
    for process in processes:
        for connection in _connections_of(process):
            if connection.status != psutil.CONN_ESTABLISHED or not connection.raddr:
                continue
            if port_is_meant(connection.laddr.port) or port_is_meant(connection.raddr.port):
                cut += _shut(process.pid, connection.fd)
    return cut


def listening_ports(processes: Iterable[psutil.Process]) -> set[int]:
    """The TCP ports at which these listen."""
    return {
        connection.laddr.port
        for process in processes
        for connection in _connections_of(process)
        if connection.status == psutil.CONN_LISTEN
    }


def _connections_of(process: psutil.Process) -> list[Any]:
    """None of a process that has ended, or is somebody else's."""
    try:
        return process.net_connections("tcp")
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


def _shut(pid: int, number: int) -> bool:
    """Whether there was such a socket."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        copy = _libc.syscall(_PIDFD_GETFD, process, number, 0)
    finally:
        os.close(process)
    if copy < 0:
        error = OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        if isinstance(error, PermissionError):
            raise CannotCut(
                "connections cannot be cut here: run as the user of the cluster, with Yama's "
                f"ptrace_scope at 0, or as root ({error})"
            )
        return False  # the process or the socket has gone meanwhile
    with socket.socket(fileno=copy) as taken:
        try:
            taken.shutdown(socket.SHUT_RDWR)
        except OSError:
            return False  # its other end was quicker
    return True
