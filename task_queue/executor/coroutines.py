"""The "async" kind of child: many coroutine tasks at once on one event loop.

Each is cancelled on its own when the parent says so. Output is kept apart by a context variable,
which works for what Python code prints; what C code writes goes to the shared file and is seen only
if the process dies. Lines are sent on as they are printed and not kept here, so that they are not
lost when a coroutine blocks the loop and the process must be killed.
"""

import asyncio
import io
import sys
from collections.abc import Callable
from contextvars import ContextVar

from task_queue.clock import Clock, SystemClock
from task_queue.context import CURRENT_TASK, TaskContext
from task_queue.core.status import Outcome
from task_queue.core.task import Lease
from task_queue.executor.attempt import Verdict, prepare, raised, returned
from task_queue.executor.child import ParentPipe, report_of
from task_queue.executor.failure import storable
from task_queue.executor.frames import Boot, CancelAttempt, Ended, RunLeases, Wrote
from task_queue.executor.output import cut_notice
from task_queue.executor.progress import ProgressRelay
from task_queue.tasks import REGISTRY


class CoroutineOutput:
    """What one coroutine prints."""

    def __init__(self, lease: Lease, pipe: ParentPipe, cap_bytes: int) -> None:
        self._lease = lease
        self._pipe = pipe
        self._cap_bytes = cap_bytes
        self._size = 0
        self._line = ""

    def write(self, text: str) -> None:
        text = storable(text)
        room = self._cap_bytes - self._size
        self._size += len(text.encode())
        if room > 0:
            self._line += text if self._size <= self._cap_bytes else text[:room]
            if "\n" in text:
                self._pipe.send(Wrote(self._lease.task_id, self._lease.attempt, self._line))
                self._line = ""

    def take_rest(self) -> str:
        """What was not sent yet, and a word on what was cut."""
        rest, self._line = self._line, ""
        return rest + cut_notice(self._size, self._cap_bytes)


_OUTPUT: ContextVar[CoroutineOutput] = ContextVar("task_queue_coroutine_output")


class RoutedStream(io.TextIOBase):
    """A stand-in for sys.stdout: gives text to the coroutine that prints it."""

    def __init__(self, shared: io.TextIOBase) -> None:
        self._shared = shared

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    @property
    def buffer(self) -> object:
        return self._shared.buffer  # type: ignore[attr-defined]

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._shared.fileno()

    def flush(self) -> None:
        self._shared.flush()

    def write(self, text: str) -> int:
        output = _OUTPUT.get(None)
        if output is None:
            return self._shared.write(text)
        output.write(text)
        return len(text)


class CoroutineRunner:
    """Runs coroutine functions until the pipe closes; `enter` is called in the context of each."""

    def __init__(
        self, pipe: ParentPipe, boot: Boot, clock: Clock, enter: Callable[[Lease], None]
    ) -> None:
        self._pipe = pipe
        self._boot = boot
        self._clock = clock
        self._enter = enter
        self._progress = ProgressRelay(pipe.send, clock)
        self._running: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._begun: set[tuple[str, int]] = set()
        self._cancelled: set[tuple[str, int]] = set()
        self._closed = asyncio.Event()
        self._fault: BaseException | None = None

    async def serve(self) -> None:
        """Work until the parent closes its pipe.

        Raises:
            BaseException: the end of an attempt could not be told. With the process it is noticed.
        """
        loop = asyncio.get_running_loop()
        loop.add_reader(self._pipe.command_fd, self._read)
        await self._closed.wait()
        loop.remove_reader(self._pipe.command_fd)
        if self._fault is not None:
            raise self._fault

    def _read(self) -> None:
        frames = self._pipe.receive()
        if frames is None:
            self._closed.set()
            return
        for frame in frames:
            if isinstance(frame, RunLeases):
                for lease in frame.leases:
                    self._start(lease)
            elif isinstance(frame, CancelAttempt):
                self._cancel((frame.task_id, frame.attempt))

    def _start(self, lease: Lease) -> None:
        task = asyncio.get_running_loop().create_task(self._run(lease), name=lease.name)
        self._running[lease.task_id, lease.attempt] = task
        task.add_done_callback(self._look_at)

    def _look_at(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._fault = fault
            self._closed.set()

    def _cancel(self, key: tuple[str, int]) -> None:
        task = self._running.get(key)
        if task is None:
            return
        self._cancelled.add(key)
        if key in self._begun:  # one that has not begun looks at _cancelled first
            task.cancel()

    async def _run(self, lease: Lease) -> None:
        key = (lease.task_id, lease.attempt)
        self._begun.add(key)
        started_at, begun = self._clock.now(), self._clock.monotonic()
        timeout = lease.timeout_seconds
        deadline = None if timeout is None else begun + timeout
        output = CoroutineOutput(lease, self._pipe, self._boot.log_cap_bytes)
        _OUTPUT.set(output)
        CURRENT_TASK.set(TaskContext(lease, deadline, self._progress.tell))
        self._enter(lease)
        verdict = await self._verdict(lease, key)
        duration = self._clock.monotonic() - begun
        self._progress.finish(lease)
        report = report_of(lease, verdict, started_at, duration, output.take_rest())
        self._pipe.send(Ended(report))
        del self._running[key]
        self._begun.discard(key)
        self._cancelled.discard(key)

    async def _verdict(self, lease: Lease, key: tuple[str, int]) -> Verdict:
        call = prepare(lease, REGISTRY)
        if isinstance(call, Verdict):
            return call
        if key in self._cancelled:
            return Verdict(Outcome.CANCELLED)
        try:
            value = await call.function(*call.args, **call.kwargs)
        except BaseException as error:  # noqa: BLE001  SystemExit too is only this task's end
            if isinstance(error, asyncio.CancelledError) and key in self._cancelled:
                return Verdict(Outcome.CANCELLED)
            return raised(error, call)
        return returned(value, self._boot.result_cap_bytes)


def serve(
    pipe: ParentPipe, boot: Boot, enter: Callable[[Lease], None] = lambda _lease: None
) -> None:
    """Run an event loop until the parent closes its pipe."""
    sys.stdout = RoutedStream(sys.stdout)  # type: ignore[arg-type]
    sys.stderr = RoutedStream(sys.stderr)  # type: ignore[arg-type]

    async def run() -> None:
        await CoroutineRunner(pipe, boot, SystemClock(), enter).serve()

    asyncio.run(run())
