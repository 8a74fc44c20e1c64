"""A Redis of our own: as it is shipped, on a free port of the loopback interface."""

import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.peers.broker import Broker
from benchmarks.peers.own_process import own_process
from benchmarks.peers.wait_until_ready import wait_until_ready
from cluster.free_ports import free_ports


@contextmanager
def private_redis() -> Iterator[Broker]:
    """An empty Redis. It has the default durability: snapshots, no append-only file.

    Raises:
        FileNotFoundError: Redis is not installed.
    """
    server = shutil.which("redis-server")
    if server is None:
        raise FileNotFoundError("There is no redis-server: apt-get install redis-server")
    with tempfile.TemporaryDirectory(prefix="tq-redis-") as folder:
        (port,) = free_ports(1)
        password = secrets.token_hex()
        config = Path(folder) / "redis.conf"
        # A password, because some peers execute what they unpickle from Redis.
        config.write_text(f"bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir {folder}\n")
        with own_process([server, str(config)], Path(folder) / "log") as process:
            wait_until_ready(process, lambda: _answers(port))
            yield Broker("redis", _version(server), f"redis://:{password}@127.0.0.1:{port}/0")


def _version(server: str) -> str:
    """Of "Redis server v=7.0.15 sha=00000000:0 malloc=..." the 7.0.15."""
    printed = subprocess.run([server, "--version"], capture_output=True, text=True, check=True)
    return printed.stdout.split()[2].removeprefix("v=")


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
