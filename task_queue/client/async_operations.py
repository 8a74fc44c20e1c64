"""Looking at tasks and looking after the queue, with coroutines.

One method for each thing that can be asked of the queue, each a line over a plan of endpoints.py.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any, Unpack

from task_queue import wire
from task_queue.client.connection import AsyncConnection
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


class AsyncOperations(AsyncConnection):
    """The part of `AsyncClient` that neither submits nor waits."""

    # --- tasks

    async def task(self, task_id: str) -> wire.TaskView:
        """As `Client.task`."""
        return await self._run(self._api.task(task_id))

    async def status(self, task_id: str) -> str:
        """As `Client.status`."""
        return (await self._run(self._api.task(task_id))).status

    async def events(self, task_id: str) -> list[wire.TimelineView]:
        """As `Client.events`."""
        return await self._run(self._api.events(task_id))

    async def logs(self, task_id: str) -> list[wire.LogView]:
        """As `Client.logs`."""
        return await self._run(self._api.logs(task_id))

    async def cancel(self, task_id: str) -> wire.TaskView:
        """As `Client.cancel`."""
        return await self._run(self._api.cancel(task_id))

    async def retry(self, task_id: str) -> wire.TaskView:
        """As `Client.retry`."""
        return await self._run(self._api.retry(task_id))

    def list_tasks(
        self, *, limit: int | None = None, **filters: Unpack[ListFilters]
    ) -> AsyncIterator[wire.TaskView]:
        """As `Client.list_tasks`."""
        check_filters(filters, ListFilters)
        return self._pages(limit, lambda size, at: self._api.list_page(filters, size, at))

    def search(
        self, q: str | None = None, *, limit: int | None = None, **filters: Unpack[SearchFilters]
    ) -> AsyncIterator[wire.TaskView]:
        """As `Client.search`."""
        check_filters(filters, SearchFilters)
        return self._pages(limit, lambda size, at: self._api.search_page(q, filters, size, at))

    # --- dead letters

    async def dlq_replay(
        self, filter: wire.TaskFilter | None = None, *, limit: int = 1_000, dry_run: bool = False
    ) -> wire.CountAnswer:
        """As `Client.dlq_replay`."""
        chosen = filter or wire.TaskFilter()
        return await self._run(self._api.dlq_replay(wire.DlqReplayRequest(chosen, limit, dry_run)))

    async def dlq_purge(self, filter: wire.TaskFilter) -> wire.CountAnswer:
        """As `Client.dlq_purge`."""
        return await self._run(self._api.dlq_purge(wire.DlqPurgeRequest(filter)))

    # --- queues

    async def queues(self) -> list[wire.QueueView]:
        """As `Client.queues`."""
        return await self._run(self._api.queues())

    async def pause_queue(self, queue: str) -> wire.QueuePausedView:
        """As `Client.pause_queue`."""
        return await self._run(self._api.pause_queue(queue))

    async def resume_queue(self, queue: str) -> wire.QueuePausedView:
        """As `Client.resume_queue`."""
        return await self._run(self._api.resume_queue(queue))

    async def purge_queue(self, queue: str) -> wire.CountAnswer:
        """As `Client.purge_queue`."""
        return await self._run(self._api.purge_queue(queue))

    # --- workers

    async def workers(self) -> list[wire.WorkerView]:
        """As `Client.workers`."""
        return await self._run(self._api.workers())

    async def worker(self, worker_id: str) -> wire.WorkerView:
        """As `Client.worker`."""
        return await self._run(self._api.worker(worker_id))

    async def pause_worker(self, worker_id: str) -> wire.WorkerStatusView:
        """As `Client.pause_worker`."""
        return await self._run(self._api.pause_worker(worker_id))

    async def resume_worker(self, worker_id: str) -> wire.WorkerStatusView:
        """As `Client.resume_worker`."""
        return await self._run(self._api.resume_worker(worker_id))

    async def drain_worker(self, worker_id: str) -> wire.WorkerStatusView:
        """As `Client.drain_worker`."""
        return await self._run(self._api.drain_worker(worker_id))

    # --- schedules and task types

    async def schedules(self) -> list[wire.ScheduleView]:
        """As `Client.schedules`."""
        return await self._run(self._api.schedules())

    async def save_schedule(
        self,
        task: SubmitRequest | TaskFunction[..., Any] | str,
        **options: Unpack[ScheduleOptions],
    ) -> wire.ScheduleView:
        """As `Client.save_schedule`."""
        return await self._run(self._api.save_schedule(schedule_request(task, options)))

    async def delete_schedule(self, schedule_id: str) -> None:
        """As `Client.delete_schedule`."""
        await self._run(self._api.delete_schedule(schedule_id))

    async def task_types(self) -> list[wire.TaskTypeView]:
        """As `Client.task_types`."""
        return await self._run(self._api.task_types())

    # --- figures and health

    async def stats(self) -> dict[str, Any]:
        """As `Client.stats`."""
        return await self._run(self._api.stats())

    async def queue_depth(self) -> dict[str, Any]:
        """As `Client.queue_depth`."""
        return await self._run(self._api.queue_depth())

    async def trends(self, window: str | None = None) -> dict[str, Any]:
        """As `Client.trends`."""
        return await self._run(self._api.trends(window))

    async def health(self, component: str | None = None) -> dict[str, Any]:
        """As `Client.health`."""
        return await self._run(self._api.health(component))

    async def _pages(
        self, limit: int | None, load: Callable[[int, str | None], Plan[wire.TaskPage]]
    ) -> AsyncIterator[wire.TaskView]:
        paging = Paging(limit)
        while paging.more:
            for view in paging.take(await self._run(load(paging.size, paging.cursor))):
                yield view
