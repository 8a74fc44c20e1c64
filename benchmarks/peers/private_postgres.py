"""A PostgreSQL of our own: as it is shipped, on a free port of the loopback interface."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.peers.broker import Broker
from benchmarks.peers.free_port import free_port
from benchmarks.peers.own_process import own_process
from benchmarks.peers.wait_until_ready import wait_until_ready

_DURABLE = ("-c", "fsync=on", "-c", "synchronous_commit=on")  # the defaults, said aloud


@contextmanager
def private_postgres() -> Iterator[Broker]:
    """An empty database. Every commit is on disk when it returns.

    Raises:
        FileNotFoundError: PostgreSQL is not installed.
    """
    programs = _programs()
    with tempfile.TemporaryDirectory(prefix="tq-postgres-") as name:
        folder, port, password = Path(name), free_port(), secrets.token_hex()
        # The server refuses to run as root; Debian's package has made a user for it.
        options: dict[str, Any] = {"cwd": folder}
        if os.geteuid() == 0:
            options |= {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(folder, "postgres", "postgres")
        _make_database(programs, folder, password, options)
        server = [
            str(programs / "postgres"), "-D", str(folder / "data"), "-p", str(port),
            "-h", "127.0.0.1", "-k", "", *_DURABLE,
        ]  # fmt: skip
        with own_process(server, folder / "log", stop=signal.SIGINT, **options) as process:
            wait_until_ready(process, lambda: _answers(programs, port))
            url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
            yield Broker("postgresql", _version(programs), url)


def _programs() -> Path:
    """The folder with initdb and postgres of the newest version; Debian keeps it out of PATH."""
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(found, key=lambda path: int(path.parts[-3]), default=None)
    if newest is None:
        raise FileNotFoundError("There is no PostgreSQL: apt-get install postgresql")
    return newest.parent


def _make_database(programs: Path, folder: Path, password: str, options: dict[str, Any]) -> None:
    secret = folder / "password"
    secret.write_text(password)
    secret.chmod(0o644)  # for the user postgres; nobody else can enter the folder
    subprocess.run(
        [
            programs / "initdb", "-D", folder / "data", "--username=postgres", f"--pwfile={secret}",
            "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
        ],
        check=True, stdout=subprocess.DEVNULL, **options,
    )  # fmt: skip


def _version(programs: Path) -> str:
    """Of "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)" the 15.18."""
    printed = subprocess.run(
        [str(programs / "postgres"), "--version"], capture_output=True, text=True, check=True
    )
    return printed.stdout.split()[2]


def _answers(programs: Path, port: int) -> bool:
    command = [str(programs / "pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={port}"]
    return subprocess.run(command, check=False).returncode == 0
