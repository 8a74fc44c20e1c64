"""The executors of one worker: takes leases, runs them in child processes, gives back reports.

What runs where: every "process" child is one slot, started when there is work for it and kept warm;
all coroutine tasks share one "async" child and take a slot each. A child that had to be killed, or
died, is replaced as soon as there is work. When children cannot be started at all, what waits for
them is reported RELEASED and nothing more is asked for until a start, tried again after half a
second and then ever more slowly, works.

Everything runs on one event loop, in the thread that lives as long as the worker (the kernel ends
the children with it). Timers run only while tasks do. Nothing here knows Ray or the scheduler.
"""

import asyncio
import math
from collections.abc import Callable, Iterable

from actors.executor_buffer import KINDS, Kind, LeaseBuffer
from actors.executor_config import ExecutorConfig
from actors.executor_endings import unstarted
from actors.executor_estimates import DurationEstimates
from actors.executor_host import Host
from actors.executor_hosts import ExecutorHosts
from actors.executor_process import ChildEvents, ExecutorProcess
from actors.executor_starts import ChildStarts, TaskModuleError
from actors.lease_giver import LeaseGiver
from task_queue.clock import Clock
from task_queue.core.status import Outcome
from task_queue.core.task import Lease, ProgressNote, Report
from task_queue.executor.frames import (
    Broken,
    Ended,
    Exported,
    FromChild,
    Importing,
    Progressed,
    Ready,
    Wrote,
)
from task_queue.tasks import TaskType
from task_queue.tracing.span_counts import SpanCounts

__all__ = ["ExecutorConfig", "ExecutorPool", "TaskModuleError"]

#: How exactly timeouts are kept, and how soon a flood of output is noticed.
_TICK_SECONDS = 0.025
#: More leases than the read-ahead allows, for so long: they are given back, for other workers.
_CROWDED_SECONDS = 0.5


class ExecutorPool:
    """Runs leases in child processes. See the module for what runs where."""

    def __init__(self, config: ExecutorConfig, clock: Clock, on_change: Callable[[], None]) -> None:
        """Args:
        on_change: called on the loop when there may be reports or progress to take, or more
            leases are wanted. It may call the pool.
        """
        self._config = config
        self._clock = clock
        self._on_change = on_change
        self._estimates = DurationEstimates()
        self._buffer = LeaseBuffer()
        #: Every lease from `run` until its report was taken.
        self._held: set[tuple[str, int]] = set()
        #: Of these, those that may not start later than at a moment by the monotonic clock.
        self._start_before: dict[tuple[str, int], float] = {}
        self._reports: list[Report] = []
        self._progress: dict[tuple[str, int], ProgressNote] = {}
        self._kinds: dict[str, Kind] = {}  #: task name to its executor
        self._hosts = ExecutorHosts(config)
        self._giver = LeaseGiver(self._buffer, self._hosts, self._estimates, config.slots)
        self._events = ChildEvents(self._frames_arrived, self._child_ended)
        self._starts = ChildStarts(config, self._retry_start)
        self._first: asyncio.Future[list[TaskType]] | None = None
        self._tick_timer: asyncio.TimerHandle | None = None
        self._stuck = 0  #: tasks that run longer than any read-ahead can be worth
        self._crowded_since: float | None = None
        self._trusted_until = math.inf
        self._stopping = False
        self.span_counts = SpanCounts()  #: of user code
        self._moved = asyncio.Event()  #: something ended; for `stop`

    # ---- life ------------------------------------------------------------------------------

    async def start(self) -> list[TaskType]:
        """Start one child and return the tasks that it found.

        Raises:
            TaskModuleError: a task module cannot be imported, or ended the process.
            OSError: no process could be started.
        """
        self._first = asyncio.get_running_loop().create_future()
        self._hosts.add(self._starts.start("process", self._events))
        return await self._first

    async def stop(self, grace_seconds: float) -> None:
        """End everything: what has not started is released at once, what runs may go on for
        `grace_seconds`, and is then killed and released. Reports can be taken afterwards.
        """
        self._stopping = True
        self._starts.cancel()
        self.release_unstarted()
        await self._wait(lambda: not self._hosts.used_slots, grace_seconds)
        for host in self._hosts:
            if host.load or not host.ready:
                host.process.kill()
            else:
                host.process.close(self._config.kill_grace_seconds)
        await self._wait(lambda: not self._hosts, None)
        if self._tick_timer is not None:
            self._tick_timer.cancel()

    async def _wait(self, done: Callable[[], bool], seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not done():
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            return

    # ---- what the worker calls ---------------------------------------------------------------

    def start_before(self, task_id: str, attempt: int, moment: float) -> None:
        """A lease that comes with the next `run`, if it has not started by then, is reported
        RELEASED: its task has expired. Of a chunk that a child was sent, 5 ms of work, all start.

        Args:
            moment: by the monotonic clock, in seconds.
        """
        self._start_before[task_id, attempt] = moment

    def run(self, leases: list[Lease]) -> None:
        """Run these. One that is held already is ignored, so a call may be repeated."""
        held, fresh = self._held, []
        for lease in leases:
            key = (lease.task_id, lease.attempt)
            if key not in held:
                held.add(key)
                fresh.append(lease)
        self._put(fresh)
        self._estimates.expect({lease.name for lease in leases})
        if self._stopping:
            self._release(kind for kind in KINDS)
        self._go_on()

    def decline(self, leases: list[Lease]) -> None:
        """Report these as RELEASED; none of them has started here."""
        self._held.update((lease.task_id, lease.attempt) for lease in leases)
        self._reports += [unstarted(lease, Outcome.RELEASED) for lease in leases]
        self._on_change()

    def cancel(self, cancels: list[tuple[str, int]]) -> None:
        """Stop these attempts (task id, attempt); one that is not held is ignored."""
        before = len(self._reports)
        for task_id, attempt in cancels:
            if (task_id, attempt) in self._held:
                self._cancel(task_id, attempt)
        self._recount_unknown()
        self._go_on()
        if len(self._reports) > before:
            self._on_change()

    def release_unstarted(self) -> None:
        """Report everything that has not started as RELEASED."""
        for host in self._hosts:
            self._put(host.give_back())
        before = len(self._reports)
        self._release(KINDS)
        if len(self._reports) > before:
            self._on_change()

    def take_reports(self) -> list[Report]:
        """The reports since the last call; the pool forgets them."""
        reports, self._reports = self._reports, []
        keys = [(report.task_id, report.attempt) for report in reports]
        self._held.difference_update(keys)
        if self._start_before:
            for key in keys:
                self._start_before.pop(key, None)
        return reports

    def take_progress(self) -> list[ProgressNote]:
        """The newest progress of each attempt that told any since the last call."""
        notes = list(self._progress.values())
        self._progress.clear()
        return notes

    def holding(self) -> list[tuple[str, int]]:
        """(task id, attempt) of every lease whose report was not taken yet."""
        return list(self._held)

    def wanted_leases(self) -> int:
        """How many leases the worker should hold in all: its slots, and a read-ahead of about
        50 ms of work, so that an urgent task waits no longer than that behind it."""
        slots = self._usable_slots()
        if not self._held:
            self._estimates.forget_expected()
        return slots + self._estimates.ahead(max(0, slots - self._stuck)) if slots else 0

    def expects_end_within(self, seconds: float) -> bool:
        """Whether a task that runs is of a kind that has taken less than so long."""
        known = self._estimates.seconds
        return any(
            host.load and known.get(host.leases[0].name, math.inf) < seconds
            for host in self._hosts.processes
        )

    def trust_until(self, moment: float) -> None:
        """What has not started by then is reported RELEASED: its lease may be void, and another
        worker may run it. An earlier moment than the last one changes nothing.

        Args:
            moment: by the monotonic clock, in seconds.
        """
        known = self._trusted_until
        self._trusted_until = moment if math.isinf(known) else max(known, moment)

    @property
    def held(self) -> int:
        """How many leases `holding` has."""
        return len(self._held)

    @property
    def backlog(self) -> int:
        """Leases that wait for a slot."""
        return len(self._buffer)

    @property
    def start_error(self) -> TaskModuleError | None:
        """Why children cannot be started at present; None if they can."""
        return self._starts.error

    def _usable_slots(self) -> int:
        if self._stopping or not self._kinds:
            return 0
        if self._starts.failing == "async" and self._hosts.coroutines is None:
            return 0  # coroutine tasks would come and go in circles
        if self._starts.waiting:
            return sum(1 for host in self._hosts.processes if host.ready)
        return self._config.slots

    # ---- leases ------------------------------------------------------------------------------

    def _put(self, leases: list[Lease]) -> None:
        if leases:
            self._buffer.put_all(leases, self._kinds)

    def _cancel(self, task_id: str, attempt: int) -> None:
        lease = self._buffer.remove(task_id, attempt)
        if lease is None:
            now = self._clock.monotonic()
            for host in self._hosts:
                returned = host.stop(task_id, attempt, now)
                if returned is not None:
                    self._put(returned)
                    break
            lease = self._buffer.remove(task_id, attempt)
        if lease is not None:
            self._reports.append(unstarted(lease, Outcome.CANCELLED))

    def _release(self, kinds: Iterable[Kind], keep: int = 0) -> None:
        """Report what waits as RELEASED, all but the first `keep` of each kind."""
        released = [lease for kind in kinds for lease in self._buffer.take_last(kind, keep)]
        self._reports += [unstarted(lease, Outcome.RELEASED) for lease in released]
        if released:
            self._recount_unknown()

    def _recount_unknown(self) -> None:
        self._estimates.forget_expected()
        self._estimates.expect(self._buffer.names())

    # ---- giving out ----------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Give out what can be given out, start what is missing, and keep the clock ticking."""
        if len(self._buffer) and self._clock.monotonic() >= self._trusted_until:
            self._release(KINDS)
            self._on_change()
        if self._start_before:
            self._release_late()
        if len(self._buffer) and not self._stopping:
            free = self._giver.fill_free_slots(self._clock.monotonic())
            if len(self._buffer):
                self._start_missing(free)
                self._giver.top_up(self._clock.monotonic())  # a start takes its time
        if self._tick_timer is None and (len(self._buffer) or self._hosts.used_slots):
            loop = asyncio.get_running_loop()
            self._tick_timer = loop.call_later(_TICK_SECONDS, self._tick)

    def _release_late(self) -> None:
        now = self._clock.monotonic()
        late = [key for key, moment in self._start_before.items() if moment <= now]
        for key in late:
            del self._start_before[key]
        gone = [lease for key in late if (lease := self._buffer.remove(*key)) is not None]
        self._reports += [unstarted(lease, Outcome.RELEASED) for lease in gone]
        if gone:
            self._on_change()

    # ---- children ------------------------------------------------------------------------------

    def _start_missing(self, free: int) -> None:
        if self._starts.waiting:
            self._release(kind for kind in KINDS if not self._hosts.has(kind))
            return
        if self._buffer.count("async") and self._hosts.coroutines is None:
            self._spawn_or_back_off("async")
        for _ in range(self._giver.missing_processes(free, self._clock.monotonic())):
            self._spawn_or_back_off("process")

    def _retry_start(self, kind: Kind) -> None:
        if not self._stopping:
            self._spawn_or_back_off(kind)

    def _spawn_or_back_off(self, kind: Kind) -> None:
        host = self._starts.try_start(kind, self._events)
        if host is not None:
            self._hosts.add(host)

    # ---- what children tell --------------------------------------------------------------------

    def _frames_arrived(self, process: ExecutorProcess, frames: list[FromChild]) -> None:
        host, now = self._hosts.of(process), self._clock.monotonic()
        reports, observe = self._reports, self._estimates.observe
        for frame in frames:
            if type(frame) is Ended:
                settled = host.settle(frame.report, now)
                if settled is None:
                    process.distrust("reported an attempt that it was not given")
                    break
                lease, report = settled
                reports.append(report)
                observe(lease.name, report.duration_seconds)
            else:
                self._other_frame(host, frame)
        if host.finished:
            self._starts.proved()
            self._hosts.replace_if_due(host)
        self._go_on()
        self._moved.set()
        self._on_change()

    def _other_frame(self, host: Host, frame: FromChild) -> None:
        if isinstance(frame, Progressed):
            note = frame.note
            self._progress[note.task_id, note.attempt] = note
        elif isinstance(frame, Wrote):
            host.heard(frame.task_id, frame.attempt, frame.text)
        elif isinstance(frame, Importing | Broken):
            self._starts.note(host, frame)
        elif isinstance(frame, Exported):
            self.span_counts.add(frame.counts)
        elif isinstance(frame, Ready):
            host.ready = True
            self._starts.worked(host)
            self._kinds = {t.name: t.options.executor for t in frame.task_types}
            if self._first is not None and not self._first.done():
                self._first.set_result(frame.task_types)

    def _child_ended(self, process: ExecutorProcess, cause: str) -> None:
        host = self._hosts.remove(process)
        aftermath = host.bury(cause, self._clock.monotonic(), self._clock.now())
        self._reports += aftermath.reports
        self._put(aftermath.unstarted)
        useless = host.finished == 0 and not aftermath.reports and not process.killed
        if useless and not self._stopping:
            error = self._starts.failed(host, cause)
            if self._first is not None and not self._first.done():
                self._first.set_exception(error)
            else:
                self._starts.back_off(host.kind, error)
        else:
            self._starts.forget(host)
        self._go_on()
        self._moved.set()
        self._on_change()

    # ---- time ----------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Enforce timeouts, and correct what was wrongly estimated. Runs only while tasks do."""
        self._tick_timer = None
        before, now = len(self._reports), self._clock.monotonic()
        self._stuck = 0
        for host in self._hosts:
            if host.load:
                self._put(host.check(now))
                for lease, seconds in host.stuck(now):
                    self._estimates.raise_to(lease.name, seconds)
                    self._stuck += 1
        self._relieve(now)
        self._go_on()
        if len(self._reports) > before:
            self._on_change()

    def _relieve(self, now: float) -> None:
        """Give back read-ahead that turned out to be more than a moment's work."""
        free = max(0, self._config.slots - self._stuck)
        keep = free + 2 * self._estimates.ahead(free)
        if len(self._buffer) <= keep:
            self._crowded_since = None
        elif self._crowded_since is None:
            self._crowded_since = now
        elif now - self._crowded_since >= _CROWDED_SECONDS:
            self._crowded_since = None
            self._release(KINDS, keep=free)
