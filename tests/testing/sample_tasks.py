"""Tasks that the tests of the in-memory queue run."""

import asyncio
import sys
from typing import Any

from task_queue.context import current_task
from task_queue.errors import Cancel, Retry
from task_queue.tasks import task

#: What was run, in order.
RAN: list[Any] = []


@task(name="testing.note", queue="notes")
def note(what: Any) -> Any:
    """Remember that it ran."""
    RAN.append(what)
    return what


@task(name="testing.flaky", max_retries=3, retry_base_seconds=10.0, never_retry_on=(TypeError,))
def flaky(good_attempt: int) -> int:
    """Fail until the attempt with this number."""
    attempt = current_task().attempt
    if attempt < good_attempt:
        raise ValueError(f"attempt {attempt} is not good")
    return attempt


@task(name="testing.later", max_retries=1)
def later(after: float) -> None:
    """Ask for another attempt."""
    raise Retry(after, "not yet")


@task(name="testing.unwanted")
def unwanted() -> None:
    """Give up at once."""
    raise Cancel("nobody wants it")


@task(name="testing.exits", max_retries=0)
def exits() -> None:
    """End as a process would."""
    sys.exit("the end")


@task(name="testing.steps")
def steps(count: int) -> None:
    """Tell progress and print."""
    for step in range(count):
        current_task().progress((step + 1) / count, f"step {step + 1}")
        print(f"printed {step + 1}")
    print("to stderr", file=sys.stderr)


@task(name="testing.returns")
def returns(kind: str) -> Any:
    """Return what has no JSON form, or loses its type in it."""
    return {"set": {1}, "tuple": (1, (2,)), "large": "x" * 1_000}[kind]


@task(name="testing.fetch")
async def fetch(url: str) -> str:
    """A coroutine function."""
    await asyncio.sleep(0)
    return f"{url} in attempt {current_task().attempt}"


@task(name="testing.fetch_nothing", max_retries=0)
async def fetch_nothing() -> None:
    """A coroutine function that fails."""
    await asyncio.sleep(0)
    raise LookupError("nothing there")


@task(name="testing.interrupted")
def interrupted() -> None:
    """Ctrl-C at the test."""
    raise KeyboardInterrupt


@task(name="testing.kept", result_ttl_seconds=60.0)
def kept() -> int:
    """A result with a time to live of a minute."""
    return 1
