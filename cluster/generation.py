"""Which settings and tasks a worker was started with, told by its incarnation.

A supervisor that is started with other settings finds the workers of its predecessor alive. It must
see which of them are to be replaced, without asking them.
"""

import hashlib

import msgspec

from task_queue.settings import Settings, settings_to_json
from task_queue.store.query import Pool
from task_queue.tasks import TaskType

_SEPARATOR = "."
#: What a worker does not read: another value is no reason to replace it.
_NOT_OF_WORKERS = {"http", "leases", "autoscaler", "store"}


def generation_of(settings: Settings, pools: list[Pool], task_types: list[TaskType]) -> str:
    """The same for two starts whose workers would be alike."""
    document = msgspec.json.decode(settings_to_json(settings))
    mine = {name: section for name, section in document.items() if name not in _NOT_OF_WORKERS}
    said = msgspec.json.encode([mine, pools, task_types], order="sorted")
    return hashlib.sha256(said).hexdigest()[:12]


def new_incarnation(unique: str, generation: str) -> str:
    """The name of a worker process that nothing was called before."""
    return f"{unique}{_SEPARATOR}{generation}"


def generation_in(incarnation: str) -> str:
    """The generation of a worker; "" if none was told."""
    return incarnation.partition(_SEPARATOR)[2]
