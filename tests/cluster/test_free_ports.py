"""Ports that stay free until the server that they are for is there."""

import socket
from pathlib import Path

import pytest

from cluster.free_ports import free_ports


def test_they_differ_and_none_is_given_to_an_outgoing_connection() -> None:
    ports = free_ports(50)
    assert len(set(ports)) == 50
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(ports) < min(first, 30_000)


def test_one_that_is_taken_is_not_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    (taken, free) = free_ports(2)
    with socket.create_server(("127.0.0.1", taken)):
        drawn = iter([taken, free])
        monkeypatch.setattr("random.randrange", lambda *_: next(drawn))
        assert free_ports(1) == [free]
