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
    (taken,) = free_ports(1)
    with socket.create_server(("127.0.0.1", taken)):
        monkeypatch.setattr("cluster.free_ports._given", set())
        _draw(monkeypatch, taken, taken + 1)
        assert free_ports(1) == [taken + 1]


def test_none_is_given_twice_nor_one_that_is_spoken_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.free_ports._given", set())
    (given,) = free_ports(1)
    _draw(monkeypatch, given, given + 1, given + 2)
    assert free_ports(1, besides=[given + 1]) == [given + 2]


def _draw(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    drawn = iter(ports)
    monkeypatch.setattr("random.randrange", lambda *_: next(drawn))
