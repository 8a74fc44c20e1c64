"""Looking at tasks and looking after the queue, with blocking calls.

One method for each thing that can be asked of the queue, each a line over a plan of endpoints.py.
"""

from collections.abc import Callable, Iterator
from typing import Any, Unpack

from task_queue import wire
from task_queue.client.connection import Connection
from task_queue.client.endpoints import (
    ListFilters,
    ScheduleOptions,
    SearchFilters,
    check_filters,
    schedule_request,
)
from task_queue.client.http import Plan
from task_queue.client.paging import Paging
from task_queue.tasks import TaskFunction
from task_queue.wire import SubmitRequest


class Operations(Connection):
    """The part of `Client` that neither submits nor waits."""

    # --- tasks

    def task(self, task_id: str) -> wire.TaskView:
        """Everything about a task, but not its arguments and result."""
        return self._run(self._api.task(task_id))

    def status(self, task_id: str) -> str:
        """Where a task is: "QUEUED", "RUNNING", "COMPLETED", ..."""
        return self._run(self._api.task(task_id)).status

    def events(self, task_id: str) -> list[wire.TimelineView]:
        """What happened to a task so far, in order."""
        return self._run(self._api.events(task_id))

    def logs(self, task_id: str) -> list[wire.LogView]:
        """What a task printed, by attempt."""
        return self._run(self._api.logs(task_id))

    def cancel(self, task_id: str) -> wire.TaskView:
        """Ask for a task to be stopped; Conflict if it is over."""
        return self._run(self._api.cancel(task_id))

    def retry(self, task_id: str) -> wire.TaskView:
        """Run a task again that is over without a result; Conflict if it is not."""
        return self._run(self._api.retry(task_id))

    def list_tasks(
        self, *, limit: int | None = None, **filters: Unpack[ListFilters]
    ) -> Iterator[wire.TaskView]:
        """Tasks, the newest first, read page by page as the iterator is used.

        Args:
            limit: at most so many; None: all.
            filters: status, queue, name, in_dlq; all that are given must hold.
        """
        check_filters(filters, ListFilters)
        return self._pages(limit, lambda size, at: self._api.list_page(filters, size, at))

    def search(
        self, q: str | None = None, *, limit: int | None = None, **filters: Unpack[SearchFilters]
    ) -> Iterator[wire.TaskView]:
        """As `list_tasks`, with more conditions.

        Args:
            q: part of the id, the name, a tag or the error.
            limit: at most so many; None: all.
            filters: those of `list_tasks`, and worker_id, tag, error (part of its type or message),
                submitted_from and submitted_to (aware datetime or RFC 3339).
        """
        check_filters(filters, SearchFilters)
        return self._pages(limit, lambda size, at: self._api.search_page(q, filters, size, at))

    # --- dead letters

    def dlq_replay(
        self, filter: wire.TaskFilter | None = None, *, limit: int = 1_000, dry_run: bool = False
    ) -> wire.CountAnswer:
        """Run dead letters again: at most `limit` of those that match; how many that were.

        `dry_run` only counts them.
        """
        chosen = filter or wire.TaskFilter()
        return self._run(self._api.dlq_replay(wire.DlqReplayRequest(chosen, limit, dry_run)))

    def dlq_purge(self, filter: wire.TaskFilter) -> wire.CountAnswer:
        """Delete the dead letters that match, for good; an empty filter matches all."""
        return self._run(self._api.dlq_purge(wire.DlqPurgeRequest(filter)))

    # --- queues

    def queues(self) -> list[wire.QueueView]:
        """All queues with their depths."""
        return self._run(self._api.queues())

    def pause_queue(self, queue: str) -> wire.QueuePausedView:
        """Hand out no more tasks of a queue; it goes on accepting them."""
        return self._run(self._api.pause_queue(queue))

    def resume_queue(self, queue: str) -> wire.QueuePausedView:
        """Hand out tasks of a paused queue again."""
        return self._run(self._api.resume_queue(queue))

    def purge_queue(self, queue: str) -> wire.CountAnswer:
        """Cancel every task of a queue that has not started; how many that were."""
        return self._run(self._api.purge_queue(queue))

    # --- workers

    def workers(self) -> list[wire.WorkerView]:
        """All workers."""
        return self._run(self._api.workers())

    def worker(self, worker_id: str) -> wire.WorkerView:
        """One worker."""
        return self._run(self._api.worker(worker_id))

    def pause_worker(self, worker_id: str) -> wire.WorkerStatusView:
        """Give a worker nothing new; it ends what it holds."""
        return self._run(self._api.pause_worker(worker_id))

    def resume_worker(self, worker_id: str) -> wire.WorkerStatusView:
        """Give a paused worker tasks again."""
        return self._run(self._api.resume_worker(worker_id))

    def drain_worker(self, worker_id: str) -> wire.WorkerStatusView:
        """Give a worker nothing new, and let it go when it holds nothing."""
        return self._run(self._api.drain_worker(worker_id))

    # --- schedules and task types

    def schedules(self) -> list[wire.ScheduleView]:
        """All schedules."""
        return self._run(self._api.schedules())

    def save_schedule(
        self,
        task: SubmitRequest | TaskFunction[..., Any] | str,
        **options: Unpack[ScheduleOptions],
    ) -> wire.ScheduleView:
        """Submit a task again and again: ``save_schedule(report, cron="0 6 * * *")``.

        Args:
            task: what to submit; a function or a name for one without arguments, else a
                ``submit_request(function, ...)``.
            options: exactly one of cron and interval_seconds; id (the same one again replaces the
                schedule; made up if left out), timezone ("UTC"), overlap ("skip"), missed
                ("run_once").
        """
        return self._run(self._api.save_schedule(schedule_request(task, options)))

    def delete_schedule(self, schedule_id: str) -> None:
        """Delete a schedule. Tasks that it submitted go on."""
        self._run(self._api.delete_schedule(schedule_id))

    def task_types(self) -> list[wire.TaskTypeView]:
        """The tasks that workers know, with their signatures and options."""
        return self._run(self._api.task_types())

    # --- figures and health

    def stats(self) -> dict[str, Any]:
        """The figures of the dashboard: counts and rates."""
        return self._run(self._api.stats())

    def queue_depth(self) -> dict[str, Any]:
        """How many tasks wait, by queue and priority."""
        return self._run(self._api.queue_depth())

    def trends(self, window: str | None = None) -> dict[str, Any]:
        """What ended in a window of time, such as "1h" or "24h", in slices, and what failed."""
        return self._run(self._api.trends(window))

    def health(self, component: str | None = None) -> dict[str, Any]:
        """The health report, also of a queue that is not healthy; asked for only once.

        Args:
            component: None for the whole, or "database", "redis", "workers".
        """
        return self._run(self._api.health(component))

    def _pages(
        self, limit: int | None, load: Callable[[int, str | None], Plan[wire.TaskPage]]
    ) -> Iterator[wire.TaskView]:
        paging = Paging(limit)
        while paging.more:
            yield from paging.take(self._run(load(paging.size, paging.cursor)))
