"""Which tasks the pools have: found out in an executor process, as the workers will."""

from actors.executor_pool import ExecutorConfig, ExecutorPool
from cluster.named_queues import named_queues
from task_queue.clock import SystemClock
from task_queue.settings import PoolSettings, Settings
from task_queue.store.query import Pool
from task_queue.tasks import TaskType


async def describe_pools(settings: Settings) -> tuple[list[Pool], list[TaskType]]:
    """The pools and all their task types.

    Raises:
        TaskModuleError: a module of a pool cannot be imported; nothing was started.
    """
    pools, types = [], {}
    for name, pool in settings.pools.items():
        known = await _describe(pool)
        types.update({task_type.name: task_type for task_type in known})
        task_names = tuple(task_type.name for task_type in known)
        pools.append(Pool(name, pool.queues, task_names, tuple(named_queues(settings))))
    return pools, list(types.values())


async def _describe(pool: PoolSettings) -> list[TaskType]:
    config = ExecutorConfig(
        slots=1, python_path=list(pool.python_path), task_modules=list(pool.task_modules),
        env=dict(pool.env),
    )  # fmt: skip
    executors = ExecutorPool(config, SystemClock(), lambda: None)
    try:
        return await executors.start()
    finally:
        await executors.stop(0.0)
