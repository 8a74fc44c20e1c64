"""Tasks as users write them, for the tests of the executors: well-behaved and very much not."""

import asyncio
import ctypes
import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from task_queue import Cancel, Retry, current_task, task


@task(name="add")
def add(a: int, b: int = 0) -> int:
    return a + b


@task(name="scheduling")
def scheduling() -> tuple[int, int]:
    """How nice this process is, and how it is scheduled."""
    return os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)


@task(name="boom", never_retry_on=(ZeroDivisionError,))
def boom(kind: str) -> None:
    """Raise an exception of a builtin class."""
    _deep(kind)


def _deep(kind: str) -> None:
    raise getattr(__import__("builtins"), kind)("it broke")


class _Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@task(name="unprintable")
def unprintable() -> None:
    raise _Unprintable


@task(name="long_traceback")
def long_traceback() -> None:
    raise ValueError("x" * 100_000)


@task(name="retry_later")
def retry_later(after: Any) -> None:
    raise Retry(after, "not yet")


@task(name="give_up")
def give_up() -> None:
    raise Cancel("the user is gone")


@task(name="returns")
def returns(what: str) -> object:
    recursive: list[Any] = []
    recursive.append(recursive)
    values: dict[str, object] = {
        "set": {1}, "nan": float("nan"), "surrogate": "\ud800", "recursive": recursive,
    }  # fmt: skip
    return values[what]


@task(name="large")
def large(size: int) -> str:
    return "x" * size


@task(name="length")
def length(text: str) -> int:
    return len(text)


@task(name="context")
def context() -> dict[str, object]:
    me = current_task()
    left = None if me.deadline is None else me.deadline - time.monotonic()
    return {
        "id": me.id, "name": me.name, "queue": me.queue, "attempt": me.attempt,
        "max_retries": me.max_retries, "failures": me.failures, "left": left,
        "request_id": me.request_id, "trace_id": me.trace_id,
    }  # fmt: skip


@task(name="tell")
def tell(times: int) -> None:
    for number in range(times):
        current_task().progress((number + 1) / times, f"step {number + 1}")


@task(name="tell_and_wait")
def tell_and_wait(gate: str) -> None:
    current_task().progress(0.1)
    current_task().progress(0.2, "newest")
    _wait_for(gate)


@task(name="prints")
def prints() -> None:
    print("from print")
    print("from stderr", file=sys.stderr)
    os.write(1, b"from os.write\n")
    ctypes.CDLL(None).write(2, b"from C\n", 7)
    subprocess.run(["echo", "from a program"], check=True)
    print("no newline", end="")


@task(name="prints_odd")
def prints_odd() -> None:
    os.write(1, b"a\0b\xff\n")
    print("\ud800")


@task(name="closes_stdout")
def closes_stdout() -> None:
    sys.stdout.close()


@task(name="floods")
def floods() -> None:
    current_task().progress(0.0)
    line = b"y" * 65_535 + b"\n"
    while True:
        os.write(1, line)


@task(name="spin")
def spin() -> None:
    print("spinning")
    current_task().progress(0.0, str(os.getpid()))
    while True:
        pass


@task(name="stubborn")
def stubborn(new_session: bool) -> None:
    """Ignores SIGTERM and has a grandchild; tells the pids."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    command = "trap '' TERM; sleep 1000 & echo $!; wait"
    program = subprocess.Popen(
        ["sh", "-c", command], stdout=subprocess.PIPE, start_new_session=new_session
    )
    assert program.stdout is not None
    grandchild = program.stdout.readline().decode().strip()
    current_task().progress(0.0, f"{os.getpid()} {program.pid} {grandchild}")
    program.wait()


@task(name="wait_for")
def wait_for(gate: str) -> int:
    """Run until the file exists."""
    current_task().progress(0.0, str(os.getpid()))
    _wait_for(gate)
    return os.getpid()


def _wait_for(gate: str) -> None:
    while not Path(gate).exists():
        time.sleep(0.002)


@task(name="pid")
def pid() -> int:
    return os.getpid()


@task(name="ends")
def ends(how: str) -> None:
    """End the process."""
    print("last words")
    ways: dict[str, Callable[[], object]] = {
        "exit": lambda: os._exit(3),
        "segv": lambda: ctypes.string_at(0),
        "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "close": lambda: os.closerange(3, 100),
    }
    ways[how]()
    threading.Event().wait()


@task(name="eats_memory")
def eats_memory(most_bytes: int) -> int:
    """Take memory until it is refused, but no more than so much."""
    held: list[bytes] = []
    while len(held) * 10_000_000 < most_bytes:
        held.append(b"x" * 10_000_000)
    return len(held)


@task(name="forks")
def forks() -> str:
    """Fork and let both copies return, as careless code does."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    return "done"


@task(name="importable")
def importable(names: list[str]) -> list[str]:
    """Which of the modules can be imported here."""
    found = []
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        found.append(name)
    return found


@task(name="import_path")
def import_path() -> dict[str, object]:
    return {"path": sys.path, "env": os.environ.get("PYTHONPATH"), "argv": sys.argv[1:]}


@task(name="environment")
def environment(name: str) -> str | None:
    return os.environ.get(name)


# ---- coroutines ----------------------------------------------------------------------------


_BARRIER: dict[str, asyncio.Event] = {}


@task(name="meet")
async def meet(party: int) -> str:
    """Ends only when `party` of these run at one time."""
    waiting = _BARRIER.setdefault("event", asyncio.Event())
    _ARRIVED.append(current_task().id)
    print(f"hello from {current_task().id}")
    if len(_ARRIVED) == party:
        waiting.set()
    await waiting.wait()
    print(f"bye from {current_task().id}", end="")
    return current_task().id


_ARRIVED: list[str] = []


@task(name="sleep_long")
async def sleep_long() -> None:
    print("asleep")
    current_task().progress(0.0, str(os.getpid()))
    await asyncio.sleep(1000)


@task(name="swallows")
async def swallows() -> None:
    current_task().progress(0.0)
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            continue


@task(name="blocks")
async def blocks() -> None:
    print("blocking")
    current_task().progress(0.0)
    while True:
        pass


@task(name="async_boom")
async def async_boom(kind: str) -> None:
    await asyncio.sleep(0)
    _deep(kind)


@task(name="async_add")
async def async_add(a: int, b: int = 0) -> int:
    return a + b


@task(name="async_ends")
async def async_ends() -> None:
    os._exit(3)


@task(name="async_floods")
async def async_floods(lines: int) -> None:
    for _ in range(lines):
        print("z" * 99)
