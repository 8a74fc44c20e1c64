"""A worker: pulls leases, lets an executor pool run them, reports what became of them.

One loop, at most two pulls open: one that waits at the scheduler for news, and, when there is
something to report meanwhile, one that tells it. A pull is repeated until it is answered, so a
report is lost only with the worker itself. No user code runs here: nothing a task does can keep
this loop from answering.
"""

import asyncio
from math import inf
from typing import Protocol

from msgspec import Struct

from monitoring.logs import get_logger
from task_queue.clock import Clock
from task_queue.core.effects import Grant, Refused, Registered
from task_queue.core.events import (
    WorkerDeregistered,
    WorkerPulled,
    WorkerRegistered,
    WorkerResumed,
)
from task_queue.core.task import Lease, ProgressNote, Report
from task_queue.core.worker import WorkerInfo
from task_queue.errors import TaskQueueError
from task_queue.scheduler_api import SchedulerUnavailable, WorkerCalls
from task_queue.tasks import TaskType

_MOST_PULLS = 2
#: While the executors have work in hand, ends are told together, so much later at most: each turn
#: of the scheduler costs as much as some thirty tasks.
_COMPANY_SECONDS = 0.005
#: What ends within a moment of its arrival is told by the pull that asks for more: one call less
#: before the end of a short task is known.
_MOMENT_SECONDS = 0.001
_SOONER_SECONDS = 0.5  #: by so much at least a second order to leave has to be
_RETRY_SECONDS = (0.02, 0.1, 0.25, 0.5, 1.0)


class Executors(Protocol):
    """What the worker needs of an executor pool."""

    async def start(self) -> list[TaskType]: ...
    def start_before(self, task_id: str, attempt: int, moment: float) -> None: ...
    def run(self, leases: list[Lease]) -> None: ...
    def decline(self, leases: list[Lease]) -> None: ...
    def cancel(self, cancels: list[tuple[str, int]]) -> None: ...
    def release_unstarted(self) -> None: ...
    def take_reports(self) -> list[Report]: ...
    def take_progress(self) -> list[ProgressNote]: ...
    def holding(self) -> list[tuple[str, int]]: ...
    def wanted_leases(self) -> int: ...
    def expects_end_within(self, seconds: float) -> bool: ...
    def trust_until(self, moment: float) -> None: ...
    async def stop(self, grace_seconds: float) -> None: ...

    @property
    def held(self) -> int: ...
    @property
    def backlog(self) -> int: ...
    @property
    def start_error(self) -> TaskQueueError | None: ...


class WorkerRefused(Exception):
    """The scheduler does not want this worker; the message says why."""


class OpenPull(Struct):
    """A pull that is not answered yet."""

    event: WorkerPulled
    answer: asyncio.Task[Grant]
    opened_at: float  #: by the monotonic clock


class Worker:
    """One worker, from registration to its end."""

    def __init__(
        self, info: WorkerInfo, scheduler: WorkerCalls, executors: Executors, clock: Clock
    ) -> None:
        self._info = info
        self._scheduler = scheduler
        self._executors = executors
        self._clock = clock
        self._log = get_logger("worker_service").bind(worker_id=info.worker_id)
        self._started_at = clock.monotonic()
        self._seq = 0
        self._open: dict[int, OpenPull] = {}
        self._pulled_at = clock.monotonic()
        self._leased_at = clock.monotonic()
        self._news = False  #: there is something to report, or room
        self._woken = asyncio.Event()  #: there is something to do
        self._closing = False
        self._leaves_at = inf  #: by the monotonic clock; what runs then is interrupted
        self._leaving: set[asyncio.Task[None]] = set()
        self._start_error = ""
        self._lease_seconds = 0.0
        self._resumed_seq = 0  #: newest pull that was open when a scheduler was told what is held

    def on_change(self) -> None:
        """The executors have something to report, or room."""
        # Once is enough; and while no further pull may be opened, an answer wakes the loop.
        if not self._news and len(self._open) < _MOST_PULLS:
            self._woken.set()
        self._news = True

    async def run(self) -> str:
        """Work until drained or dismissed. Returns which.

        Raises:
            WorkerRefused: the scheduler does not accept the registration.
        """
        try:
            await self._register()
            self._log.info("worker_registered", pool=self._info.pool, slots=self._info.slots)
            return await self._pull_until_dismissed()
        finally:
            for pull in self._open.values():
                pull.answer.cancel()
            await self._executors.stop(0.0)

    # ---- pulling ---------------------------------------------------------------------------

    async def _pull_until_dismissed(self) -> str:
        while True:
            wait = self._put_off_seconds()
            if not wait and self._pull_is_due():
                self._news = False
                self._open_pull()
            await self._pause(wait if self._pull_is_due() else 0.0)
            order = await self._take_answers()
            if self._closing and not self._executors.holding() and not self._unreported():
                order = "end"
            if order in ("end", "gone"):
                return await self._leave(order)

    async def _pause(self, seconds: float) -> None:
        """Until there is something to do, or the time is up, if there is one."""
        try:
            async with asyncio.timeout(seconds or None):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()

    def _pull_is_due(self) -> bool:
        return not self._open or (self._has_news() and len(self._open) < _MOST_PULLS)

    def _put_off_seconds(self) -> float:
        """How long the next pull is put off, so that it tells of more: while leases wait for a slot
        here, or until the end of a short task that has just come."""
        if self._closing:
            return 0.0
        if self._executors.backlog:
            return max(0.0, self._pulled_at + _COMPANY_SECONDS - self._clock.monotonic())
        if self._open or self._news or not self._executors.expects_end_within(_MOMENT_SECONDS):
            return 0.0
        return max(0.0, self._leased_at + _MOMENT_SECONDS - self._clock.monotonic())

    def _open_pull(self) -> None:
        self._seq += 1
        self._pulled_at = self._clock.monotonic()
        self._note_start_error()
        event = WorkerPulled(
            self._info.worker_id,
            self._info.incarnation,
            self._seq,
            0 if self._closing else self._executors.wanted_leases(),
            self._executors.take_reports(),
            self._executors.take_progress(),
        )
        answer = asyncio.ensure_future(self._pull(event))
        answer.add_done_callback(lambda _answer: self._woken.set())
        self._open[self._seq] = OpenPull(event, answer, self._pulled_at)

    async def _pull(self, event: WorkerPulled) -> Grant:
        """Ask until there is an answer."""
        failures = 0
        while True:
            try:
                return await self._scheduler.pull(event)
            except SchedulerUnavailable as error:
                if failures == 0:
                    self._log.warning("scheduler_unavailable", reason=str(error))
                await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
                failures += 1

    async def _take_answers(self) -> str:
        """Act on the pulls that were answered. Returns an order that ends the worker, or ""."""
        order = ""
        for seq, pull in sorted(self._open.items()):
            if not pull.answer.done():
                continue
            del self._open[seq]
            grant = pull.answer.result()
            # The scheduler has heard this worker since the pull was opened: until a lease period
            # after that it voids nothing. Who stood still longer must not start what he holds.
            self._executors.trust_until(pull.opened_at + self._lease_seconds)
            if grant.leases and seq > self._resumed_seq:
                self._run(grant.leases, pull.opened_at)
            elif grant.leases:  # on its way while a new scheduler was told that it is not here
                self._executors.decline(grant.leases)
            if grant.cancels:
                self._executors.cancel(grant.cancels)
            if grant.leave_within is not None:
                self._leave_within(grant.leave_within)
            if grant.order == "resync":
                await self._resume(grant.asked_by)
            elif grant.order:
                order = grant.order
            self._log_heartbeat()
        return order

    def _run(self, leases: list[Lease], asked_at: float) -> None:
        self._leased_at = self._clock.monotonic()
        for lease in leases:
            if lease.expires_in_seconds is not None:
                moment = asked_at + lease.expires_in_seconds
                self._executors.start_before(lease.task_id, lease.attempt, moment)
        self._executors.run(leases)

    def _has_news(self) -> bool:
        """Whether another pull is due. One that only waits keeps its reports' answer back; a worker
        that is closing sends an empty one after it, which brings that answer at once."""
        return self._news or (self._closing and self._unreported())

    def _unreported(self) -> bool:
        return self._news or any(pull.event.reports for pull in self._open.values())

    def _note_start_error(self) -> None:
        """A worker whose executors cannot start takes no work: say why, once for each reason."""
        error = self._executors.start_error
        if error is not None and str(error) != self._start_error:
            self._log.error("executors_cannot_start", error=str(error))
        self._start_error = str(error) if error is not None else ""

    def _log_heartbeat(self) -> None:
        self._log.debug(
            "worker_heartbeat",
            current_load=self._executors.held,
            capacity=self._info.slots,
            uptime_seconds=round(self._clock.monotonic() - self._started_at, 3),
        )

    # ---- coming and going ------------------------------------------------------------------

    async def _register(self) -> None:
        answer = await self._insist(WorkerRegistered(self._info))
        if isinstance(answer, Refused):
            raise WorkerRefused(answer.detail)
        assert isinstance(answer, Registered)
        self._lease_seconds = answer.lease_seconds

    async def _resume(self, asked_by: float | None) -> None:
        """Tell a new scheduler what is really held here."""
        self._resumed_seq = self._seq
        unanswered = [report for pull in self._open.values() for report in pull.event.reports]
        holding = self._executors.holding() + [(r.task_id, r.attempt) for r in unanswered]
        await self._insist(
            WorkerResumed(
                self._info.worker_id, self._info.incarnation, holding, self._resumed_seq, asked_by
            )
        )

    def _leave_within(self, seconds: float) -> None:
        """Take nothing new, give back what has not started, and what still runs at that time."""
        leaves_at = self._clock.monotonic() + seconds
        if leaves_at > self._leaves_at - _SOONER_SECONDS:
            return  # each grant says it again
        self._leaves_at, self._closing = leaves_at, True
        self._executors.release_unstarted()
        leaving = asyncio.ensure_future(self._executors.stop(seconds))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._left)

    def _left(self, leaving: "asyncio.Task[None]") -> None:
        self._leaving.discard(leaving)
        self._news = True
        self._woken.set()
        if not leaving.cancelled() and (error := leaving.exception()) is not None:
            self._log.error("executors_do_not_stop", error=repr(error), exc_info=error)

    async def _leave(self, order: str) -> str:
        if order == "end":
            await self._insist(WorkerDeregistered(self._info.worker_id, self._info.incarnation))
        self._log.info("worker_deregistered", order=order)
        return "drained" if order == "end" else "dismissed"

    async def _insist(self, event: WorkerRegistered | WorkerResumed | WorkerDeregistered) -> object:
        failures = 0
        while True:
            try:
                return await self._scheduler.request(event)
            except SchedulerUnavailable:
                await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
                failures += 1
