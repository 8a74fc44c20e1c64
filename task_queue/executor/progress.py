"""Sends a task's progress on, but not more often than anybody can read it.

The newest figure always arrives: one that comes too soon after the last is kept, and sent by a
timer, or by `finish`, unless a newer one takes its place. A thread does this and not the task's own
next call, because a task may tell once and then compute for an hour.
"""

import threading
from collections.abc import Callable

from msgspec import Struct

from task_queue.clock import Clock
from task_queue.core.task import Lease, Progress, ProgressNote
from task_queue.executor.frames import Progressed

_INTERVAL_SECONDS = 0.1


class _Told(Struct):
    sent_at: float
    kept: ProgressNote | None = None
    timer: threading.Timer | None = None


class ProgressRelay:
    """Progress of the attempts that run in this process."""

    def __init__(self, send: Callable[[Progressed], None], clock: Clock) -> None:
        self._send = send
        self._clock = clock
        self._lock = threading.Lock()
        self._told: dict[tuple[str, int], _Told] = {}

    def tell(self, lease: Lease, fraction: float, message: str) -> None:
        """Send it now, or within a tenth of a second."""
        key = (lease.task_id, lease.attempt)
        note = ProgressNote(*key, Progress(fraction, message))
        now = self._clock.monotonic()
        with self._lock:
            told = self._told.get(key)
            if told is None:
                told = self._told[key] = _Told(now - _INTERVAL_SECONDS)
            wait = told.sent_at + _INTERVAL_SECONDS - now
            if wait <= 0:
                told.sent_at, told.kept = now, None
                self._send(Progressed(note))
                return
            told.kept = note
            if told.timer is None:
                told.timer = threading.Timer(wait, self._send_kept, (key,))
                told.timer.daemon = True
                told.timer.start()

    def finish(self, lease: Lease) -> None:
        """Send what is still kept of an attempt that ends. Must come before its report."""
        if not self._told:
            return
        with self._lock:
            told = self._told.pop((lease.task_id, lease.attempt), None)
            if told is not None and told.timer is not None:
                told.timer.cancel()
            if told is not None and told.kept is not None:
                self._send(Progressed(told.kept))

    def _send_kept(self, key: tuple[str, int]) -> None:
        with self._lock:
            told = self._told.get(key)
            if told is None:
                return
            told.timer = None
            if told.kept is not None:
                told.sent_at = self._clock.monotonic()
                self._send(Progressed(told.kept))
                told.kept = None
