"""One child process of a worker: started, talked to without blocking, its end noticed at once.

It moves frames and signals and knows nothing of slots, timeouts or reports; see executor_pool.py.
Everything here runs on one event loop, in the thread that must outlive the child: Linux kills the
child when the thread that started it ends.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

import task_queue.executor
from actors.executor_output import ChildOutput
from actors.oom_kills import OomKills
from actors.process_tree import kill_process_tree
from task_queue.executor.frames import Boot, FromChild, ToChild, encode_frame, from_child_reader
from task_queue.executor.start_tokens import StartTokenSource

_LAUNCH = str(Path(task_queue.executor.__path__[0], "launch.py"))
#: As much as a pipe holds. Python takes memory for all of it first, and a megabyte comes from the
#: kernel each time, which costs ten times as much as the read.
_READ_BYTES = 1 << 16
#: From the end of a child's pipe to its own end, at most.
_CLOSING_SECONDS = 0.5
#: Where there are no process descriptors, after the pipe's end.
_EXIT_POLL_SECONDS = 0.005
#: By what the kernel says of its own kills.
_SIGKILL_CAUSES = {
    True: ": out of memory, by the count of the kernel",
    False: " that some process sent; the kernel did not run out of memory",
    None: "; whether memory ran out cannot be told on this system",
}


class ChildEvents(Struct):
    """Who is told what. Called on the event loop."""

    #: Frames that arrived, in order; never empty.
    on_frames: Callable[["ExecutorProcess", list[FromChild]], None]
    #: The process is gone and waited for, all its frames were told; the text says how it ended.
    on_end: Callable[["ExecutorProcess", str], None]


class ExecutorProcess:
    """A child process that runs tasks."""

    def __init__(
        self, boot: Boot, env: dict[str, str], events: ChildEvents, oom_kills: OomKills
    ) -> None:
        """Start it.

        Args:
            boot: how the child sets itself up.
            env: its environment variables, all of them.
            events: see there.
            oom_kills: of the memory group that it will be in.

        Raises:
            OSError: no process, memory or file descriptor was to be had.
        """
        self._events = events
        self._oom_kills = oom_kills
        self._loop = asyncio.get_running_loop()
        self._reader = from_child_reader()
        self._unsent = bytearray()
        self._command_fd: int | None = None
        self._kill_timer: asyncio.TimerHandle | None = None
        self._ended = False
        self._distrusted = ""
        self.killed = False  #: by `kill`, so by the worker's own decision
        self.output = ChildOutput(boot.log_cap_bytes)
        self.tokens = StartTokenSource()
        self._start_process(env)
        self._watch()
        self.send(boot)

    @property
    def pid(self) -> int:
        return self._popen.pid

    def send(self, frame: ToChild) -> None:
        """Send a frame. Never blocks; what the pipe cannot take now is sent later."""
        if self._command_fd is None:
            return
        data = encode_frame(frame)
        if not self._unsent:
            data = data[self._write(data) :]
            if data:
                self._loop.add_writer(self._command_fd, self._write_unsent)
        self._unsent += data

    def close(self, kill_after_seconds: float) -> None:
        """Let the child end by itself when it has done what it was sent, but not take for ever."""
        self._close_command()
        if self._kill_timer is None and not self._ended:
            self._kill_timer = self._loop.call_later(kill_after_seconds, self.kill)

    def kill(self) -> None:
        """Kill it with everything that it started. `on_end` follows within moments."""
        if not self._ended:
            self.killed = True
            kill_process_tree(self._popen.pid)

    def distrust(self, cause: str) -> None:
        """Kill it because it did what no child does; `cause` becomes the way it ended."""
        if not self._ended and not self.killed:
            self._distrusted = self._distrusted or cause
            kill_process_tree(self._popen.pid)

    # ---- start -----------------------------------------------------------------------------

    def _start_process(self, env: dict[str, str]) -> None:
        command_read, command_write = os.pipe()
        self._result_fd, result_write = os.pipe()
        theirs = (command_read, result_write, self.tokens.read_fd)
        arguments = [str(number) for number in (os.getpid(), *theirs)]
        try:
            # No session of its own: Ray kills a worker's process group when the worker ends.
            self._popen = subprocess.Popen(
                [sys.executable, "-P", _LAUNCH, *arguments],
                pass_fds=theirs, env=env, stdin=subprocess.DEVNULL,
                stdout=self.output.fd, stderr=self.output.fd,
            )  # fmt: skip
        except OSError:
            os.close(self._result_fd)
            os.close(command_write)
            self.tokens.close()
            self.output.close()
            raise
        finally:
            os.close(command_read)
            os.close(result_write)
        self._command_fd = command_write
        os.set_blocking(command_write, False)
        os.set_blocking(self._result_fd, False)

    def _watch(self) -> None:
        self._loop.add_reader(self._result_fd, self._read)
        self._pid_fd = _open_pid_fd(self._popen.pid)
        if self._pid_fd is not None:
            self._loop.add_reader(self._pid_fd, self._reap)

    # ---- talk ------------------------------------------------------------------------------

    def _write(self, data: bytes | bytearray) -> int:
        try:
            return os.write(self._command_fd, data) if self._command_fd is not None else len(data)
        except BlockingIOError:
            return 0
        except BrokenPipeError:  # it ended; its end is told where it is noticed
            return len(data)

    def _write_unsent(self) -> None:
        del self._unsent[: self._write(self._unsent)]
        if not self._unsent and self._command_fd is not None:
            self._loop.remove_writer(self._command_fd)

    def _close_command(self) -> None:
        if self._command_fd is not None:
            self._loop.remove_writer(self._command_fd)
            os.close(self._command_fd)
            self._command_fd = None
            self._unsent.clear()

    def _read(self) -> None:
        if self._read_once() == b"":
            self._loop.remove_reader(self._result_fd)
            # Almost always it ends just now, and its end is told in a moment.
            self._loop.call_later(_CLOSING_SECONDS, self.distrust, "closed its pipe to the worker")
            if self._pid_fd is None:
                self._reap()

    def _read_once(self) -> bytes | None:
        """Read and tell what there is. Nothing there: None; the end of the pipe: no bytes."""
        try:
            data = os.read(self._result_fd, _READ_BYTES)
            frames = self._reader.feed(data)
        except BlockingIOError:
            return None
        except (msgspec.MsgspecError, ValueError) as error:
            self._reader = from_child_reader()
            self.distrust(f"wrote something else than frames to its pipe ({error})")
            return None
        if frames:
            self._events.on_frames(self, frames)
        return data

    # ---- end -------------------------------------------------------------------------------

    def _reap(self) -> None:
        if self._ended:
            return
        code = self._popen.poll()
        if code is None:
            if self._pid_fd is None:
                self._loop.call_later(_EXIT_POLL_SECONDS, self._reap)
            return
        self._ended = True
        self._loop.remove_reader(self._result_fd)
        if self._pid_fd is not None:
            self._loop.remove_reader(self._pid_fd)
            os.close(self._pid_fd)
        if self._kill_timer is not None:
            self._kill_timer.cancel()
        while self._read_once():
            pass  # what it sent before it ended; a grandchild may hold the pipe open
        self._close_command()
        odd = self._distrusted if code == -signal.SIGKILL else ""
        self._events.on_end(self, odd or self._describe_exit(code))
        os.close(self._result_fd)
        self.tokens.close()
        self.output.close()

    def _describe_exit(self, code: int) -> str:
        if code >= 0:
            return f"exited with code {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = "a real-time signal"
        text = f"killed by signal {-code} ({name})"
        if -code == signal.SIGKILL and not self.killed:
            text += _SIGKILL_CAUSES[self._oom_kills.claim()]
        return text


def _open_pid_fd(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends; None where there is no such thing
    (other systems, some sandboxes): there the end of its pipe must do."""
    open_pid_fd = getattr(os, "pidfd_open", None)
    if open_pid_fd is None:
        return None
    try:
        return int(open_pid_fd(pid))
    except OSError:
        return None
