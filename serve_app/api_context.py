"""What the routes of one API process share. Built once by `build_api`, given to every group."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from http import HTTPStatus

from fastapi import Request
from msgspec import Struct

from monitoring.logs import get_logger
from monitoring.redis_reading import RedisReading
from monitoring.spans import Spans
from serve_app.catalogue_source import CatalogueSource
from serve_app.fleet import SHOWN_LOST_SECONDS, lost_lately
from serve_app.nearest import shown
from serve_app.problems import ApiProblem, refusal
from serve_app.readers import Readers
from serve_app.reading_cache import ReadingCache
from serve_app.replica_figures import ReplicaFigures
from serve_app.request_edge import request_id_of, traceparent_of
from serve_app.submission import Origin, Submission
from serve_app.submit_coalescer import Submit, SubmitCoalescer
from serve_app.traced_submit import TracedSubmit
from task_queue.clock import Clock
from task_queue.core.effects import Answer, Counted, Refused
from task_queue.core.events import Event
from task_queue.core.task import Task
from task_queue.core.worker import WorkerInfo
from task_queue.ids import is_task_id, new_task_id
from task_queue.scheduler_api import (
    DeadLetter,
    SchedulerApi,
    SchedulerReading,
    SchedulerUnavailable,
)
from task_queue.settings import Settings
from task_queue.tracing.span_counts import SpanCounts

_READING_SECONDS = 0.5
_LOST_SECONDS = 2.0
TELL_SECONDS = 2.0
_REDIS_SECONDS = 2.0

ReadRedis = Callable[[], Awaitable[RedisReading]]


class RedisLook(Struct, frozen=True):
    """How Redis was, and how long it took to say so."""

    reading: RedisReading
    seconds: float


_log = get_logger("api")


class ApiContext:
    """The scheduler, the store, and what is known of both."""

    def __init__(
        self,
        scheduler: SchedulerApi,
        readers: Readers,
        settings: Settings,
        clock: Clock,
        version: str,
        sleep: Callable[[float], Awaitable[None]],
        check_seconds: float,
        read_redis: ReadRedis | None,
        spans: Spans | None,
    ) -> None:
        self.scheduler = scheduler
        self.readers = readers
        self.settings = settings
        self.clock = clock
        self.version = version
        self.sleep = sleep
        self.check_seconds = check_seconds
        self.started_at = clock.monotonic()
        self.figures = ReplicaFigures.begun(clock)
        self._told: dict[str, int] = {}
        self.catalogue = CatalogueSource(readers, clock)
        self.submission = Submission(self.catalogue, settings.limits, clock)
        self._span_counts = SpanCounts() if spans is None else spans.counts
        self.submit: Submit = scheduler.submit
        if spans is not None:
            limit = settings.tracing.tasks_per_second
            self.submit = TracedSubmit(scheduler.submit, spans, limit, clock)
        self.coalescer = SubmitCoalescer(self.submit)
        self._reading: ReadingCache[SchedulerReading] = ReadingCache(
            self._read, _READING_SECONDS, clock
        )
        self._lost: ReadingCache[list[WorkerInfo]] = ReadingCache(
            self._read_lost, _LOST_SECONDS, clock
        )

        self.redis: ReadingCache[RedisLook] | None = None
        if read_redis is not None:
            self.redis = ReadingCache(partial(_timed, read_redis, clock), _REDIS_SECONDS, clock)

    async def reading(self) -> SchedulerReading:
        """The scheduler, at most half a second ago."""
        return await self._reading.get()

    async def reading_from_now(self) -> SchedulerReading:
        """The scheduler as it is, for who did not find what may be new."""
        self._reading.forget()
        return await self._reading.get()

    async def lost_workers(self) -> list[WorkerInfo]:
        """Workers that were lost in the last quarter of an hour and have no successor."""
        return await self._lost.get()

    async def request(self, event: Event) -> Answer:
        """Tell the scheduler something that a person wants, and get its answer.

        Raises:
            ApiProblem: it was refused.
        """
        answer = await self.request_or_refusal(event)
        if isinstance(answer, Refused):
            raise refusal(answer)
        return answer

    async def request_or_refusal(self, event: Event) -> Answer:
        """As `request`, but a refusal is returned."""
        answer = await self.scheduler.request(event)
        self._forget()
        return answer

    async def purge_queue(self, queue: str) -> int:
        """Cancel all that waits in a queue. How many."""
        count = await self.scheduler.purge_queue(queue)
        self._forget()
        return count

    async def replay(self, letters: Sequence[DeadLetter]) -> Counted | Refused:
        """Run dead letters again, all of them or none. How many."""
        answer = await self.scheduler.replay(letters, self.new_request_id())
        self._forget()
        return answer

    def _forget(self) -> None:
        self._reading.forget()
        self._lost.forget()

    async def task(self, task_id: str) -> Task:
        """One task, without its arguments, which no answer shows and which may be large.

        Raises:
            ApiProblem: 404, there is none.
        """
        checked = checked_id(task_id)
        found = await self.readers.point(lambda reader: reader.find([checked]))
        task = found.get(task_id)
        if task is None:
            raise unknown_tasks([task_id])
        return task

    def new_request_id(self) -> str:
        """For a call to the scheduler that must not be carried out twice if it is repeated."""
        return new_task_id(self.clock.now())

    def origin(self, request: Request) -> Origin:
        """Where a submission comes from."""
        return Origin(request_id_of(request), traceparent_of(request))

    async def _read(self) -> SchedulerReading:
        self._told = dict(self.figures.answers)
        return await self.scheduler.read(self.figures.report(self.readers, self._span_counts))

    async def tell(self) -> float:
        """Tell the scheduler what was counted here, if no reading did so. When to do so again."""
        if self._told != self.figures.answers:
            try:
                await self.reading()
            except SchedulerUnavailable as error:
                _log.debug("counts_not_told", reason=str(error))
                self._told = {}  # the next look tells the same and more
        return TELL_SECONDS

    async def _read_lost(self) -> list[WorkerInfo]:
        now = self.clock.now()
        workers = await self.readers.scan(lambda reader: reader.workers())
        return lost_lately(workers, now - SHOWN_LOST_SECONDS)


async def _timed(read_redis: ReadRedis, clock: Clock) -> RedisLook:
    begun = clock.monotonic()
    reading = await read_redis()
    return RedisLook(reading, clock.monotonic() - begun)


def checked_id(task_id: str) -> str:
    """The id, if it is written as one.

    Raises:
        ApiProblem: 404.
    """
    if not is_task_id(task_id):
        raise ApiProblem(
            HTTPStatus.NOT_FOUND,
            f"{shown(task_id)} is not a task id: one looks like "
            "019b2c3d-4e5f-7a6b-8c9d-0e1f2a3b4c5d, in lower case; POST /api/v1/tasks returned it",
        )
    return task_id


def unknown_tasks(task_ids: list[str]) -> ApiProblem:
    """The problem for ids that no task has."""
    few = ", ".join(task_ids[:5]) + (f" and {len(task_ids) - 5} more" if task_ids[5:] else "")
    return ApiProblem(
        HTTPStatus.NOT_FOUND,
        f"no task has the id {few}: it was never accepted here, or was deleted after its retention",
    )
