"""Actors for the settings of this `up`: those that run with others are replaced, in this order.

The scheduler first, since it alone knows the tasks; it comes back with all of them. Then the
supervisor, which drains the workers of another generation and starts new ones in their place. What
the pools can do is declared only when they can: nobody may submit a task that no worker knows.
"""

import asyncio
from collections import Counter

from msgspec import Struct

from actors.handles import SchedulerHandle, create_actor, end_actor
from actors.options import SCHEDULER_NAME, SUPERVISOR_NAME, scheduler_actor, supervisor_actor
from actors.scheduler import SchedulerActor
from cluster.generation import generation_in
from cluster.ray_connection import Say
from cluster.supervisor_actor import SupervisorActor
from task_queue.core.status import WorkerStatus
from task_queue.errors import TaskQueueError
from task_queue.scheduler_api import SchedulerReading
from task_queue.settings import Settings, settings_to_json
from task_queue.store import is_postgres
from task_queue.store.query import Pool
from task_queue.tasks import TaskType

_STEP_SECONDS = 90.0
_POLL_SECONDS = 0.2
#: What the scheduler reads; another value in one of them needs another scheduler.
_OF_SCHEDULER = {"leases", "limits", "retention", "logging", "tracing"}


class ClusterUnhealthy(TaskQueueError):
    """The cluster did not become healthy in time; the message says what it lacked."""


class Plan(Struct):
    """What there is to be."""

    settings: Settings
    generation: str
    pools: list[Pool]
    task_types: list[TaskType]
    changed: set[str]  #: sections that differ from what runs; empty if the actors can stay
    new_workers: bool  #: whether the workers that run, if any, are of another generation


async def roll_out(plan: Plan, say: Say) -> None:
    """Returns when the actors run as planned and the pools are declared.

    Raises:
        ClusterUnhealthy: it took too long; the next `up` goes on with it.
    """
    namespace = plan.settings.ray.namespace
    if plan.changed or plan.new_workers:
        await end_for_good(SUPERVISOR_NAME, namespace)  # its workers live on
    # As after a crash: what it had acknowledged is on disk, and its successor fences it off.
    if plan.changed & _OF_SCHEDULER and await end_for_good(SCHEDULER_NAME, namespace):
        say("restarting the scheduler with its new settings ...")
    scheduler = await _start_scheduler(plan.settings)
    say("the scheduler has loaded its store")
    replaced = _outdated(await scheduler.read(), plan.generation)
    if not replaced:
        await scheduler.declare(plan.pools, plan.task_types)
    _start_supervisor(plan)
    if replaced:
        say(f"replacing {len(replaced)} worker(s): {', '.join(replaced)} ...")
        await _wait_for_workers(plan, scheduler)
        await scheduler.declare(plan.pools, plan.task_types)


def missing_workers(settings: Settings, reading: SchedulerReading) -> str:
    """Which pools have fewer workers than they should; "" if none has."""
    active = Counter(
        state.info.pool
        for state in reading.workers
        if state.info.status is not WorkerStatus.DRAINING
    )
    return ", ".join(
        f"pool '{name}' has {active[name]} of {pool.min_workers} workers"
        for name, pool in settings.pools.items()
        if active[name] < pool.min_workers
    )


async def end_for_good(name: str, namespace: str) -> bool:
    """End a named actor, and wait until its name is free. Returns whether there was one."""
    found = False
    async with asyncio.timeout(_STEP_SECONDS):
        while await end_actor(name, namespace):
            found = True
            await asyncio.sleep(_POLL_SECONDS)
    return found


async def _start_scheduler(settings: Settings) -> SchedulerHandle:
    namespace = settings.ray.namespace
    blob = settings_to_json(settings)
    on_head = not is_postgres(settings.store.url)
    create_actor(scheduler_actor(SchedulerActor, namespace, on_head), blob)
    scheduler = SchedulerHandle(namespace, patience_seconds=30.0)
    async with asyncio.timeout(_STEP_SECONDS):
        await scheduler.ready()
    return scheduler


def _start_supervisor(plan: Plan) -> None:
    made = supervisor_actor(SupervisorActor, plan.settings.ray.namespace)
    blob = settings_to_json(plan.settings)
    create_actor(made, blob, plan.generation)


def _outdated(reading: SchedulerReading, generation: str) -> list[str]:
    return [
        state.info.worker_id
        for state in reading.workers
        if generation_in(state.info.incarnation) != generation
    ]


async def _wait_for_workers(plan: Plan, scheduler: SchedulerHandle) -> None:
    drain = max(pool.drain_seconds for pool in plan.settings.pools.values())
    limit = drain + _STEP_SECONDS
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit
    while True:
        reading = await scheduler.read()
        outdated = _outdated(reading, plan.generation)
        lacking = ", ".join(filter(None, [
            f"{', '.join(outdated)} not replaced yet" if outdated else "",
            missing_workers(plan.settings, reading),
        ]))  # fmt: skip
        if not lacking:
            return
        if loop.time() > deadline:
            raise ClusterUnhealthy(
                f"the new settings are not in force after {limit:.0f} s: {lacking}. The new tasks "
                "were not declared; 'up' again goes on waiting"
            )
        await asyncio.sleep(_POLL_SECONDS)
