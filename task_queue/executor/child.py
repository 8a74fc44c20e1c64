"""A child's life: set up, import the user's modules, run leases until the pipe closes.

Light on purpose: it loads neither asyncio (unless it is the "async" kind), nor anything that
submits tasks. All that can go wrong inside a task ends in a report; what kills the process is
noticed and told by the parent.
"""

import faulthandler
import importlib
import os
import signal
import site
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from task_queue.clock import Clock, SystemClock
from task_queue.context import CURRENT_TASK, TaskContext
from task_queue.core.task import Lease, Report
from task_queue.executor.attempt import Verdict, prepare, raised, returned
from task_queue.executor.copy_check import copy_check
from task_queue.executor.failure import message_of, users_traceback
from task_queue.executor.frames import (
    Boot,
    Broken,
    Ended,
    FromChild,
    Importing,
    Ready,
    RunLeases,
    ToChild,
    encode_frame,
    to_child_reader,
)
from task_queue.executor.output import OutputFile
from task_queue.executor.progress import ProgressRelay
from task_queue.executor.start_tokens import StartTokens
from task_queue.tasks import REGISTRY

_READ_BYTES = 1 << 16
_BUILTIN_TASKS = "task_queue.builtin_tasks"

RunLease = Callable[[Lease], Verdict]


class ParentPipe:
    """The child's end of both pipes."""

    def __init__(self, command_fd: int, result_fd: int) -> None:
        self.command_fd = command_fd
        self._result_fd = result_fd
        self._reader = to_child_reader()
        self._lock = threading.Lock()  # progress is sent from a thread
        for fd in (command_fd, result_fd):  # else a task's own child processes would keep it open
            os.set_inheritable(fd, False)

    def receive(self) -> list[ToChild] | None:
        """Read once and return the frames that are complete; None when the parent closed it."""
        data = os.read(self.command_fd, _READ_BYTES)
        return self._reader.feed(data) if data else None

    def send(self, frame: FromChild) -> None:
        """Send a frame, at once and whole."""
        data = encode_frame(frame)
        with self._lock:
            try:
                written = os.write(self._result_fd, data)
                while written < len(data):
                    data = data[written:]
                    written = os.write(self._result_fd, data)
            except BrokenPipeError:  # nobody is left to work for
                os._exit(1)


class LeaseRunner:
    """Runs plain functions, one after the other; `around` may put something around each."""

    def __init__(
        self, pipe: ParentPipe, tokens: StartTokens, output: OutputFile, boot: Boot, clock: Clock,
        around: Callable[[RunLease], RunLease] = lambda run: run,
    ) -> None:  # fmt: skip
        self._pipe = pipe
        self._tokens = tokens
        self._output = output
        self._result_cap_bytes = boot.result_cap_bytes
        self._clock = clock
        self._progress = ProgressRelay(pipe.send, clock)
        self._is_copy = copy_check()
        self._verdict_on = around(self._verdict)

    def serve(self) -> None:
        """Work until the parent closes its pipe."""
        while (frames := self._pipe.receive()) is not None:
            for frame in frames:
                if isinstance(frame, RunLeases):
                    for lease in frame.leases:
                        if self._tokens.take(frame.generation):
                            self._run(lease)

    def _run(self, lease: Lease) -> None:
        started_at, begun = self._clock.now(), self._clock.monotonic()
        timeout = lease.timeout_seconds
        deadline = None if timeout is None else begun + timeout
        token = CURRENT_TASK.set(TaskContext(lease, deadline, self._progress.tell))
        verdict = self._verdict_on(lease)
        CURRENT_TASK.reset(token)
        if self._is_copy():
            os._exit(0)  # the task forked and let the copy return: it must not report as well
        duration = self._clock.monotonic() - begun
        self._progress.finish(lease)
        self._pipe.send(Ended(report_of(lease, verdict, started_at, duration, self._output.take())))

    def _verdict(self, lease: Lease) -> Verdict:
        call = prepare(lease, REGISTRY)
        if isinstance(call, Verdict):
            return call
        try:
            value = call.function(*call.args, **call.kwargs)
        except BaseException as error:  # noqa: BLE001  SystemExit too is only this task's end
            return raised(error, call)
        return returned(value, self._result_cap_bytes)


def report_of(
    lease: Lease, verdict: Verdict, started_at: float, duration_seconds: float, logs: str
) -> Report:
    """All that is told of an attempt that ended by itself."""
    return Report(
        lease.task_id, lease.attempt, verdict.outcome, started_at, duration_seconds,
        verdict.result, verdict.error, verdict.retryable, verdict.retry_after_seconds, logs,
    )  # fmt: skip


def main(root: str, command_fd: int, result_fd: int, token_fd: int) -> None:
    """Live as a child of the worker at the other end of the pipes.

    Args:
        root: the folder that `launch.py` put on `sys.path`.
        command_fd, result_fd, token_fd: ends of pipes: frames in, frames out, start tokens.
    """
    signal.signal(signal.SIGINT, _leave_to_parent)
    pipe = ParentPipe(command_fd, result_fd)
    os.set_inheritable(token_fd, False)
    frames = pipe.receive()
    while frames == []:
        frames = pipe.receive()
    if not frames or not isinstance(frames[0], Boot):
        return
    boot = frames[0]
    output = OutputFile(boot.log_cap_bytes)
    faulthandler.enable(output.fd)
    arrange_import_path(root, boot.python_path)
    spans = _user_spans(boot, pipe)
    if not load_modules(pipe, [_BUILTIN_TASKS, *boot.task_modules]):
        return
    if spans is not None:
        spans.install()
    output.take()  # what imports print belongs to no task
    if boot.executor == "async":
        coroutines = importlib.import_module("task_queue.executor.coroutines")
        # It alone pays for importing asyncio.
        coroutines.serve(pipe, boot, *([] if spans is None else [spans.enter]))
    else:
        around = [] if spans is None else [spans.around]
        LeaseRunner(pipe, StartTokens(token_fd), output, boot, SystemClock(), *around).serve()


def _user_spans(boot: Boot, pipe: ParentPipe) -> Any:
    """A UserSpans, if tracing is enabled: only then OpenTelemetry is imported."""
    if boot.span_endpoint is None:
        return None
    module = importlib.import_module("task_queue.executor.user_spans")
    return module.UserSpans(boot.span_endpoint, pipe.send)


def _leave_to_parent(_signal: int, _frame: FrameType | None) -> None:
    """Ctrl-C reaches the whole process group; what it means for tasks is the worker's decision.

    A handler and not SIG_IGN, which programs that a task starts would inherit.
    """


def arrange_import_path(root: str, python_path: list[str]) -> None:
    """Make the user's folders come first, and ours not at all.

    `task_queue` is loaded by now, so its modules are found through the package and not through
    `root`. If it was installed as a package, `root` is site-packages and stays.
    """
    wanted = [os.path.realpath(folder) for folder in python_path]
    real = os.path.realpath(root)
    site_folders = {
        os.path.realpath(p) for p in (*site.getsitepackages(), site.getusersitepackages())
    }
    if real in site_folders:
        sys.path.remove(root)  # the one that launch.py added
        rest = sys.path[:]
    else:
        rest = [folder for folder in sys.path if os.path.realpath(folder) != real]
    sys.path[:] = wanted + [folder for folder in rest if folder not in wanted]
    inherited = os.environ.get("PYTHONPATH")
    if inherited is not None and real not in site_folders:
        kept = [p for p in inherited.split(os.pathsep) if os.path.realpath(p) != real]
        os.environ["PYTHONPATH"] = os.pathsep.join(kept)


def load_modules(pipe: ParentPipe, modules: list[str]) -> bool:
    """Import the task modules and tell the parent how that went."""
    module = ""
    try:
        for module in modules:
            pipe.send(Importing(module))
            importlib.import_module(module)
        pipe.send(Ready(REGISTRY.task_types()))
    except BaseException as error:  # noqa: BLE001  SystemExit in a module included
        pipe.send(Broken(module, type(error).__name__, message_of(error), users_traceback(error)))
        return False
    return True
