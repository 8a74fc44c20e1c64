"""Starts the children of a pool, and decides when they may be started after some could not be.

A child that ends before it is ready, or before it ran anything, would do so again: the next is
started after half a second, then one, two, and so on up to 30 s, until one works.
"""

import asyncio
import os
from collections.abc import Callable

from msgspec import Struct

from actors.coroutine_host import CoroutineHost
from actors.executor_buffer import Kind
from actors.executor_config import ExecutorConfig
from actors.executor_host import Host
from actors.executor_process import ChildEvents, ExecutorProcess
from actors.oom_kills import own_oom_kills
from actors.process_host import ProcessHost
from task_queue.errors import TaskQueueError
from task_queue.executor.frames import Boot, Broken, Importing

_FIRST_DELAY_SECONDS = 0.5
_MAX_DELAY_SECONDS = 30.0


class TaskModuleError(TaskQueueError):
    """A child process cannot run tasks: a task module cannot be imported.

    The message names the module and what went wrong; `traceback` is the user's part of it, and
    `output` what the child printed.
    """

    def __init__(self, module: str, reason: str, traceback: str = "", output: str = "") -> None:
        super().__init__(module, reason, traceback, output)
        self.module = module
        self.reason = reason
        self.traceback = traceback
        self.output = output

    def __str__(self) -> str:
        return (
            f"task module '{self.module}' cannot be imported: {self.reason}; "
            "check the worker's task_modules and python_path"
        )


class _Start(Struct):
    """What is known of a child that is not ready yet."""

    timer: asyncio.TimerHandle
    module: str = "(before the first)"
    broken: Broken | None = None


class ChildStarts:
    """Starts children, and holds back starts after failed ones."""

    def __init__(self, config: ExecutorConfig, retry: Callable[[Kind], None]) -> None:
        """Args:
        retry: start one child of this kind, to see whether it works now.
        """
        self._config = config
        self._retry = retry
        self._oom_kills = own_oom_kills()
        self._starting: dict[ExecutorProcess, _Start] = {}
        self._failures = 0
        self._timer: asyncio.TimerHandle | None = None
        self.failing: Kind | None = None  #: the kind that could not be started last
        self.error: TaskModuleError | None = None  #: why

    @property
    def waiting(self) -> bool:
        """Whether nothing may be started now."""
        return self.failing is not None

    # ---- starting --------------------------------------------------------------------------

    def start(self, kind: Kind, events: ChildEvents) -> Host:
        """Start a child.

        Raises:
            OSError: no process, memory or file descriptor was to be had.
        """
        config = self._config
        boot = Boot(
            kind, config.python_path, config.task_modules, config.log_cap_bytes,
            config.result_cap_bytes, config.span_endpoint,
        )  # fmt: skip
        process = ExecutorProcess(boot, {**os.environ, **config.env}, events, self._oom_kills)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(config.start_timeout_seconds, self._give_up, process)
        self._starting[process] = _Start(timer)
        if kind == "async":
            return CoroutineHost(process, config.kill_grace_seconds)
        return ProcessHost(process)

    def try_start(self, kind: Kind, events: ChildEvents) -> Host | None:
        """Start a child, or hold back from now on."""
        try:
            return self.start(kind, events)
        except OSError as error:
            reason = f"no process could be started: {error}"
            self.back_off(kind, TaskModuleError("(none)", reason))
            return None

    def _give_up(self, process: ExecutorProcess) -> None:
        limit = self._config.start_timeout_seconds
        process.distrust(f"killed because it was not ready after {limit:g} s")

    # ---- what became of it -------------------------------------------------------------------

    def note(self, host: Host, frame: Importing | Broken) -> None:
        """A starting child says how far it is."""
        start = self._starting[host.process]
        if isinstance(frame, Broken):
            start.broken = frame
        else:
            start.module = frame.module

    def worked(self, host: Host) -> None:
        """A child is ready."""
        self.forget(host)
        self.failing = self.error = None
        self.cancel()

    def proved(self) -> None:
        """A child has run a task."""
        self._failures = 0

    def forget(self, host: Host) -> None:
        """A child is ready, or was ended on purpose."""
        start = self._starting.pop(host.process, None)
        if start is not None:
            start.timer.cancel()

    def failed(self, host: Host, cause: str) -> TaskModuleError:
        """Why a child ended without being of any use."""
        start = self._starting.get(host.process)
        self.forget(host)
        output = host.process.output.read()
        if start is not None and start.broken is not None:
            broken = start.broken
            reason = f"{broken.error_type}: {broken.message}"
            return TaskModuleError(broken.module, reason, broken.traceback, output)
        module = start.module if start is not None else "(all imported)"
        reason = f"the process ended before it ran a task: {cause}"
        return TaskModuleError(module, reason, output=output)

    # ---- holding back ----------------------------------------------------------------------

    def back_off(self, kind: Kind, error: TaskModuleError) -> None:
        """Start nothing for a while, then one child of this kind."""
        delay = min(_MAX_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2.0 ** min(self._failures, 10))
        self._failures += 1
        self.failing, self.error = kind, error
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(delay, self._try_again, kind)

    def cancel(self) -> None:
        """Try nothing again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _try_again(self, kind: Kind) -> None:
        self._timer = None
        self._retry(kind)
