"""Tasks from a process of its own, at a constant rate."""

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from typing import Any

from task_queue.client.client import Client

_TICK_SECONDS = 0.01
_MOST_AT_ONCE = 1_000
_SETTLE_SECONDS = 1.0


@contextmanager
def background_load(
    url: str, per_second: float, name: str = "task_queue.noop", arguments: tuple[Any, ...] = ()
) -> Iterator[None]:
    """While this is open, `per_second` tasks are submitted, every 10 ms those that are due.

    If that cannot be kept up, fewer are: look at how many were done.
    """
    context = multiprocessing.get_context("spawn")
    started, stop = context.Event(), context.Event()
    process = context.Process(
        target=_produce, args=(url, per_second, name, arguments, started, stop)
    )
    process.start()
    try:
        if not started.wait(30):
            raise RuntimeError("the background load did not start")
        time.sleep(_SETTLE_SECONDS)
        yield
    finally:
        stop.set()
        process.join()


def _produce(
    url: str, per_second: float, name: str, arguments: tuple[Any, ...], started: Event, stop: Event
) -> None:
    with Client(url) as client:
        began, sent = time.perf_counter(), 0
        started.set()
        while not stop.wait(_TICK_SECONDS):
            due = int((time.perf_counter() - began) * per_second) - sent
            if due > 0:
                client.submit_many(name, (arguments,) * min(due, _MOST_AT_ONCE))
                sent += due
