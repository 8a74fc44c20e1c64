"""A PostgreSQL of our own: as it is shipped, on a free port of the loopback interface."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.peers.own_process import own_process
from benchmarks.peers.wait_until_ready import wait_until_ready
from cluster.free_ports import free_ports

_DURABLE = ("-c", "fsync=on", "-c", "synchronous_commit=on")  # the defaults, said aloud
_GONE_SECONDS = 10.0


class PrivatePostgres:
    """A server that can be killed and started again, with its data and at its place."""

    name = "postgresql"

    def __init__(self, programs: Path, folder: Path, options: dict[str, Any]) -> None:
        self._programs, self._folder, self._options = programs, folder, options
        # Not one that the kernel chose: while the server is away, who tries to reach such a port
        # may be given that very port for its own end, and the server cannot start again.
        (self._port,) = free_ports(1)
        self._password = secrets.token_hex()
        self._process = ExitStack()
        self._pid = 0
        self.version = _version(programs)
        _make_database(programs, folder, self._password, options)

    @property
    def url(self) -> str:
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self._port}/postgres"

    @property
    def lives(self) -> bool:
        """Whether the server's first process is there: it ends by itself if it cannot go on."""
        return not _is_gone_by_id(self._pid)

    @property
    def answers(self) -> bool:
        """Whether it takes connections."""
        return _answers(self._programs, self._port)

    @property
    def programs(self) -> Path:
        """The folder with pg_dump and the others."""
        return self._programs

    def start(self) -> None:
        command = [
            str(self._programs / "postgres"), "-D", str(self._folder / "data"),
            "-p", str(self._port), "-h", "127.0.0.1", "-k", "", *_DURABLE,
        ]  # fmt: skip
        log = self._folder / "log"
        process = self._process.enter_context(
            own_process(command, log, stop=signal.SIGQUIT, **self._options)
        )
        self._pid = process.pid
        wait_until_ready(process, lambda: _answers(self._programs, self._port))

    def kill(self) -> None:
        """End the server and all its processes at once, as a crash of its machine does.

        Each of them has a session of its own. Those that are left would keep a new server from
        starting for a moment.
        """
        processes = self._processes()
        _signal(processes, signal.SIGKILL)
        deadline = time.monotonic() + _GONE_SECONDS
        while not all(map(_is_gone, processes)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"PostgreSQL lives {_GONE_SECONDS} s after kill -9")
            time.sleep(0.01)
        self.stop()

    @contextmanager
    def stopped(self) -> Iterator[int]:
        """None of its processes runs, as on a machine that stands still. Yields how many."""
        processes = self._processes()  # the first one too, so that no others come
        try:
            _signal(processes, signal.SIGSTOP)
            yield len(processes)
        finally:
            _signal(processes, signal.SIGCONT)

    def _processes(self) -> list[psutil.Process]:
        server = psutil.Process(self._pid)
        return [server, *server.children(recursive=True)]

    def stop(self) -> None:
        """End it at once: all commits are in its log, and a last checkpoint takes 15 seconds."""
        self._process.close()


@contextmanager
def private_postgres(disk: Path | None = None) -> Iterator[PrivatePostgres]:
    """A server with an empty database. Every commit is on disk when it returns.

    Args:
        disk: where its data are, in a folder of its own; elsewhere than temporary files.

    Raises:
        FileNotFoundError: PostgreSQL is not installed.
    """
    programs = _programs()
    with tempfile.TemporaryDirectory(prefix="tq-postgres-", dir=disk) as name:
        folder = Path(name)
        # The server refuses to run as root; Debian's package has made a user for it.
        options: dict[str, Any] = {"cwd": folder}
        if os.geteuid() == 0:
            options |= {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(folder, "postgres", "postgres")
        server = PrivatePostgres(programs, folder, options)
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # a client has gone, and what served it
            process.send_signal(number)


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


def _is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _is_gone_by_id(pid: int) -> bool:
    try:
        return _is_gone(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return True


def _answers(programs: Path, port: int) -> bool:
    command = [str(programs / "pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={port}"]
    return subprocess.run(command, check=False).returncode == 0
