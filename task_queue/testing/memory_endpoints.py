"""The endpoints of the API, answered at once by a machine in memory instead of over HTTP.

Both clients are made of `Endpoints`, so with these in their place they work as they are: what they
send, raise and return is decided by their own code. An endpoint that is not here is asked over
HTTP, where `InMemoryQueue` has nobody but a refusal.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec import Raw

from task_queue import wire
from task_queue.client.endpoints import Endpoints, ListFilters, SearchFilters, SubmitAnswer
from task_queue.client.http import Exchange, Plan
from task_queue.client.outcome import Outcome, OutcomesAnswer
from task_queue.core import events as ev
from task_queue.core.effects import Accepted, Counted, Refused
from task_queue.core.status import TERMINAL, Happening, Status
from task_queue.core.task import Task
from task_queue.core.transitions import IllegalTransition, next_status
from task_queue.errors import Conflict, NotFound, TooManyRequests
from task_queue.schedule_view import schedule_view
from task_queue.tasks import TaskRegistry
from task_queue.testing.memory_scheduler import MemoryScheduler
from task_queue.testing.memory_search import dead_letters, memory_search
from task_queue.testing.submitted_task import submitted_schedule, submitted_task

_MANY = 1_000_000

T = TypeVar("T")


class MemoryEndpoints(Endpoints):
    """Plans that never send anything."""

    def __init__(
        self,
        exchange: Exchange,
        scheduler: MemoryScheduler,
        registry: TaskRegistry,
        on_ready: Callable[[Sequence[str]], None],
    ) -> None:
        """`on_ready` is called with the ids of tasks that a person made ready."""
        super().__init__(exchange)
        self._scheduler = scheduler
        self._store = scheduler.store
        self._registry = registry
        self._on_ready = on_ready

    # --- tasks

    def submit(self, request: wire.SubmitRequest) -> Plan[SubmitAnswer]:
        (task_id,) = yield from self.submit_batch([request])
        return SubmitAnswer(task_id, self._task(task_id).status.value)

    def run(self, request: wire.SubmitRequest) -> Plan[Outcome]:
        (task_id,) = yield from self.submit_batch([request])
        answer = self._outcomes([task_id], 0.0)
        pending = Outcome(task_id, self._task(task_id).status.value)
        return answer.results[0] if answer.results else pending

    def submit_batch(self, requests: Sequence[wire.SubmitRequest]) -> Plan[list[str]]:
        return _at_once(lambda: self._submit(requests))

    def task(self, task_id: str) -> Plan[wire.TaskView]:
        return _at_once(lambda: wire.task_view(self._task(task_id)))

    def outcomes(self, task_ids: Sequence[str], wait_seconds: float) -> Plan[OutcomesAnswer]:
        return _at_once(lambda: self._outcomes(task_ids, wait_seconds))

    def events(self, task_id: str) -> Plan[list[wire.TimelineView]]:
        def look() -> list[wire.TimelineView]:
            task = self._task(task_id)
            return wire.timeline_view(task, self._store.timeline(task.seq))

        return _at_once(look)

    def logs(self, task_id: str) -> Plan[list[wire.LogView]]:
        def look() -> list[wire.LogView]:
            return [wire.LogView(*log) for log in self._store.logs(self._task(task_id).seq)]

        return _at_once(look)

    def cancel(self, task_id: str) -> Plan[wire.TaskView]:
        return _at_once(lambda: self._cancel(task_id))

    def retry(self, task_id: str) -> Plan[wire.TaskView]:
        return _at_once(lambda: self._retry(task_id))

    def list_page(
        self, filters: ListFilters, limit: int, cursor: str | None
    ) -> Plan[wire.TaskPage]:
        return _at_once(lambda: self._search(None, filters, limit, cursor))

    def search_page(
        self, q: str | None, filters: SearchFilters, limit: int, cursor: str | None
    ) -> Plan[wire.TaskPage]:
        return _at_once(lambda: self._search(q, filters, limit, cursor))

    # --- dead letters

    def dlq_replay(self, request: wire.DlqReplayRequest) -> Plan[wire.CountAnswer]:
        def replay() -> wire.CountAnswer:
            self._scheduler.look_at_clock()
            tasks = dead_letters(self._store, request.filter, request.limit)
            if not request.dry_run:
                self._replay(tasks)
                self._on_ready([task.spec.id for task in tasks])
            return wire.CountAnswer(len(tasks), request.dry_run)

        return _at_once(replay)

    def dlq_purge(self, request: wire.DlqPurgeRequest) -> Plan[wire.CountAnswer]:
        def purge() -> wire.CountAnswer:
            self._scheduler.look_at_clock()
            doomed = dead_letters(self._store, request.filter, _MANY)
            return wire.CountAnswer(self._store.delete([task.seq for task in doomed]))

        return _at_once(purge)

    # --- queues

    def pause_queue(self, queue: str) -> Plan[wire.QueuePausedView]:
        return _at_once(lambda: self._pause(queue, paused=True))

    def resume_queue(self, queue: str) -> Plan[wire.QueuePausedView]:
        return _at_once(lambda: self._pause(queue, paused=False))

    def purge_queue(self, queue: str) -> Plan[wire.CountAnswer]:
        def purge() -> wire.CountAnswer:
            total = 0
            while True:  # some thousands at a time
                answer = self._scheduler.request(ev.QueuePurged(queue))
                assert isinstance(answer, Counted)
                if not answer.count:
                    return wire.CountAnswer(total)
                total += answer.count

        return _at_once(purge)

    # --- schedules

    def schedules(self) -> Plan[list[wire.ScheduleView]]:
        def look() -> list[wire.ScheduleView]:
            self._scheduler.look_at_clock()
            return [schedule_view(schedule) for schedule in self._store.schedules()]

        return _at_once(look)

    def save_schedule(self, request: wire.ScheduleRequest) -> Plan[wire.ScheduleView]:
        def save() -> wire.ScheduleView:
            schedule = submitted_schedule(request, self._registry, self._scheduler.now())
            self._scheduler.request(ev.ScheduleSaved(schedule))
            return schedule_view(schedule)

        return _at_once(save)

    def delete_schedule(self, schedule_id: str) -> Plan[None]:
        def delete() -> None:
            answer = self._scheduler.request(ev.ScheduleDeleted(schedule_id))
            if isinstance(answer, Refused):
                raise NotFound(404, answer.detail)

        return _at_once(delete)

    # --- how

    def _submit(self, requests: Sequence[wire.SubmitRequest]) -> list[str]:
        now = self._scheduler.now()
        specs = [submitted_task(request, self._registry, now) for request in requests]
        keys = [spec.idempotency_key for spec in specs if spec.idempotency_key is not None]
        known = self._store.known([], keys)
        answer = self._scheduler.request(ev.TasksSubmitted(specs, known))
        if isinstance(answer, Refused):
            raise TooManyRequests(429, answer.detail)
        assert isinstance(answer, Accepted)
        self._on_ready(answer.task_ids)
        return answer.task_ids

    def _task(self, task_id: str) -> Task:
        self._scheduler.look_at_clock()
        task = self._store.get(task_id)
        if task is None:
            raise NotFound(404, f"no task has the id '{task_id}'")
        return task

    def _search(
        self, q: str | None, filters: ListFilters, limit: int, cursor: str | None
    ) -> wire.TaskPage:
        self._scheduler.look_at_clock()
        found, more = memory_search(self._store, q, filters, limit, cursor)
        return wire.TaskPage([wire.task_view(task) for task in found], more)

    def _outcomes(self, task_ids: Sequence[str], wait_seconds: float) -> OutcomesAnswer:
        tasks = [self._task(task_id) for task_id in task_ids]
        over = [self._outcome(task) for task in tasks if task.status in TERMINAL]
        if not over and wait_seconds > 0:
            raise TimeoutError(_why_it_waits(tasks[0], self._scheduler.now()))
        return OutcomesAnswer(over, [t.spec.id for t in tasks if t.status not in TERMINAL])

    def _outcome(self, task: Task) -> Outcome:
        stored = self._store.results([task.seq]).get(task.seq)
        view = wire.result_view(task.spec.id, task.status, task.error, stored)
        result = Raw() if view.result is None else view.result
        return Outcome(view.task_id, view.status, result, view.error)

    def _cancel(self, task_id: str) -> wire.TaskView:
        status = self._task(task_id).status
        if isinstance(self._scheduler.request(ev.CancelRequested(task_id)), Refused):
            detail = f"task {task_id} is {status}: what is over cannot be cancelled"
            raise Conflict(409, detail)
        return wire.task_view(self._task(task_id))

    def _retry(self, task_id: str) -> wire.TaskView:
        task = self._task(task_id)
        try:
            next_status(task_id, task.status, Happening.REPLAY)
        except IllegalTransition as error:
            raise Conflict(409, str(error)) from None
        self._replay([task])
        self._on_ready([task_id])
        return wire.task_view(self._task(task_id))

    def _replay(self, tasks: list[Task]) -> None:
        answer = self._scheduler.request(ev.TasksReplayed(tasks))
        if isinstance(answer, Refused):
            raise TooManyRequests(429, answer.detail)

    def _pause(self, queue: str, *, paused: bool) -> wire.QueuePausedView:
        self._scheduler.request(ev.QueuePaused(queue, paused))
        self._on_ready([])
        return wire.QueuePausedView(queue, paused)


def _at_once(answer: Callable[[], T]) -> Plan[T]:
    """A plan without a step. What it does is done when it is carried out, not when it is made."""
    yield from ()
    return answer()


def _why_it_waits(task: Task, now: float) -> str:
    """Nobody runs tasks while a test waits, so waiting would be for ever."""
    told = f"task {task.spec.id} is {task.status.value}, and a test that waits runs nothing"
    if task.status in (Status.SCHEDULED, Status.RETRYING):
        return f"{told}: call advance({task.due_at - now:g}) and run_all() first"
    if task.status is Status.RUNNING:
        return f"{told}: a task cannot wait for itself"
    return f"{told}: call run_all() first, or make the queue with inline=True"
