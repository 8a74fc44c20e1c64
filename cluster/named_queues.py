"""The queues that some pool names: those that "*" does not mean."""

from task_queue.settings import Settings


def named_queues(settings: Settings) -> list[str]:
    """Sorted."""
    queues = {queue for pool in settings.pools.values() for queue in pool.queues}
    return sorted(queues - {"*"})
