"""How each actor is made: the only place that calls `ray.remote`.

The scheduler's options follow those of Serve's own controller: detached, restarted for ever, no
task events (long polls would flood them), thousands of calls at a time on one event loop. Workers
are never restarted by Ray: a new process is a new incarnation, made by the supervisor.
"""

from typing import Any

import ray

from task_queue.settings import PoolSettings

SCHEDULER_NAME = "task-queue-scheduler"
SUPERVISOR_NAME = "task-queue-supervisor"
_MANY_CALLS = 10_000
_ON_HEAD = {"node:__internal_head__": 0.001}


def worker_actor_name(worker_id: str) -> str:
    """The name under which Ray knows a worker."""
    return f"task-queue-worker-{worker_id}"


def scheduler_actor(cls: type, namespace: str, on_head: bool) -> Any:
    """Options of the scheduler; `on_head`: its store is a file on the head's disk."""
    return _detached(cls, SCHEDULER_NAME, namespace, _ON_HEAD if on_head else {}, _MANY_CALLS)


def supervisor_actor(cls: type, namespace: str) -> Any:
    """Options of the supervisor of the worker pools. On the head: no other machine waits for it.

    One call at a time, so that it has the main thread.
    """
    return _detached(cls, SUPERVISOR_NAME, namespace, _ON_HEAD, calls=1)


def worker_actor(cls: type, worker_id: str, pool: PoolSettings, namespace: str) -> Any:
    """Options of one worker: what its pool asks Ray for. One call at a time: see `WorkerActor`."""
    return ray.remote(cls).options(
        name=worker_actor_name(worker_id),
        namespace=namespace,
        lifetime="detached",
        max_restarts=0,
        max_task_retries=0,
        max_concurrency=1,
        num_cpus=pool.num_cpus,
        num_gpus=pool.num_gpus,
        memory=pool.memory_bytes,
        resources=dict(pool.resources),
        enable_task_events=False,
    )


def _detached(cls: type, name: str, namespace: str, resources: dict[str, float], calls: int) -> Any:
    return ray.remote(cls).options(
        name=name,
        namespace=namespace,
        lifetime="detached",
        get_if_exists=True,
        max_restarts=-1,
        # Handles repeat a call themselves, and say so, because a repeated submit must be known.
        max_task_retries=0,
        max_concurrency=calls,
        num_cpus=0,
        resources=resources,
        enable_task_events=False,
    )
