"""Workers as Ray actors: how the supervisor starts one and finds one again."""

from actors.handles import WorkerHandle
from actors.options import worker_actor, worker_actor_name
from actors.worker_actor import WorkerActor, WorkerOrder
from cluster.supervised import WorkerProcess
from task_queue.settings import Settings, settings_to_json


class RayWorkers:
    """A WorkerMaker."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._settings_json = settings_to_json(settings)

    def create(self, order: WorkerOrder) -> WorkerHandle:
        settings = self._settings
        made = worker_actor(
            WorkerActor, order.worker_id, settings.pools[order.pool], settings.ray.namespace
        )
        return WorkerHandle.create(made, self._settings_json, order)

    async def all(self) -> dict[str, WorkerProcess]:
        """Those that live or are being started, by their ids."""
        found = await WorkerHandle.find_all(worker_actor_name(""), self._settings.ray.namespace)
        return dict(found)

    async def find(self, worker_id: str) -> WorkerHandle | None:
        return await WorkerHandle.find(worker_actor_name(worker_id), self._settings.ray.namespace)
