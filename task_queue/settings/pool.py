"""One pool of workers, and the rules between pools.

A queue is served by every pool that names it, or, if none does, by the pools with ``"*"``. Any
worker of such a pool may get any task of the queue, which is why pools that share a queue must have
the same tasks. What Ray does with the resources is not known here, only what it would refuse.
"""

import re
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from task_queue.queue_name import queue_name_fault
from task_queue.settings.section import (
    Bytes,
    Count,
    Fault,
    Section,
    Text,
    Texts,
    refuse,
    twice,
    working_directory,
)

#: Serves every queue that no pool names.
ANY_QUEUE = "*"

_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_POOL_NAME = re.compile(r"[a-z0-9-]+")
_OWN_FIELD = {"CPU": "num_cpus", "GPU": "num_gpus", "memory": "memory_bytes"}


def _resource_quantity(value: float) -> float:
    if value > 1 and not value.is_integer():
        raise ValueError("give a whole number, or a fraction below 1: Ray refuses others")
    return value


def _pool_name(name: str) -> str:
    if not _POOL_NAME.fullmatch(name):
        raise ValueError("name a pool with the letters a-z, digits and hyphens")
    return name


Quantity = Annotated[float, Field(ge=0), AfterValidator(_resource_quantity)]


class PoolSettings(Section):
    """Workers that are alike."""

    #: Queues that the workers pull from; "*" is every queue that no pool names.
    queues: Texts = (ANY_QUEUE,)
    #: Modules with @task functions, imported by the executor processes at their start.
    task_modules: Texts = ()
    #: Folders or archives in which these modules are found, absolute after loading.
    python_path: Texts = ()
    min_workers: Annotated[int, Field(ge=0)] = 1
    max_workers: Count = 2
    #: Tasks that one worker runs at the same time, each in an executor process of its own.
    slots: Count = 2
    #: What one worker actor asks Ray for, executors included.
    num_cpus: Quantity = 1.0
    num_gpus: Quantity = 0.0
    memory_bytes: Bytes | None = None
    #: Custom Ray resources of one worker.
    resources: dict[Text, Quantity] = Field(default={})
    #: How long a worker that is to end waits for its running tasks.
    drain_seconds: Annotated[float, Field(ge=0, le=86_400)] = 30.0
    #: Environment variables of the executor processes.
    env: dict[Text, str] = Field(default={}, repr=False)
    #: An executor process is replaced after so many tasks; None: never.
    recycle_after_tasks: Count | None = None

    @field_validator("queues", "task_modules", "python_path")
    @classmethod
    def _each_once(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        repeated = twice(values)
        if repeated:
            raise ValueError(f"lists {', '.join(map(repr, repeated))} more than once")
        return values

    @field_validator("queues")
    @classmethod
    def _are_queues(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if not values:
            raise ValueError(f"is empty: name a queue, or {ANY_QUEUE!r} for all that no pool names")
        for value in values:
            fault = None if value == ANY_QUEUE else queue_name_fault(value)
            if fault is not None:
                raise ValueError(fault)
        return values

    @field_validator("task_modules")
    @classmethod
    def _are_modules(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if not _MODULE.fullmatch(value):
                raise ValueError(
                    f"{value!r} is not the name of a module: give it as import does, such as "
                    "'image_job' or 'shop.orders', without '.py' or '/'"
                )
        return values

    @field_validator("python_path")
    @classmethod
    def _are_found(cls, values: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        directory = working_directory(info)
        if directory is None:
            return values
        found = {value: _existing(directory, value) for value in values}
        missing = [value for value, path in found.items() if path is None]
        if missing:
            raise ValueError(
                f"{', '.join(map(repr, missing))} does not exist: give folders relative to "
                f"the working directory, {directory}, or absolute"
            )
        return tuple(str(path) for path in found.values())

    @field_validator("resources")
    @classmethod
    def _have_no_field(cls, values: dict[str, float]) -> dict[str, float]:
        for name in values:
            if name in _OWN_FIELD:
                raise ValueError(f"{name!r} has a field of its own: use {_OWN_FIELD[name]}")
        return values

    @model_validator(mode="after")
    def _bounds_agree(self) -> Self:
        if self.min_workers > self.max_workers:
            complaint = f"{self.min_workers} is above max_workers ({self.max_workers})"
            refuse([Fault(("min_workers",), complaint)])
        return self


def _existing(directory: Path, entry: str) -> Path | None:
    """`entry` as an absolute path, if something is there."""
    if "\0" in entry:
        return None
    path = (directory / entry).absolute()
    try:
        return path if path.exists() else None
    except (OSError, UnicodeError):  # a name too long or of characters that no file can have
        return None


def _same_tasks_where_shared(pools: Mapping[str, PoolSettings]) -> Mapping[str, PoolSettings]:
    faults = []
    for (one, first), (other, second) in combinations(pools.items(), 2):
        shared = sorted(set(first.queues) & set(second.queues))
        if shared and set(first.task_modules) != set(second.task_modules):
            faults.append(
                Fault(
                    (other, "task_modules"),
                    f"{list(second.task_modules)} differs from that of pool '{one}' "
                    f"({list(first.task_modules)}), and both serve queue {shared[0]!r}: any of "
                    "their workers may get a task of it, so give both the same modules",
                )
            )
    refuse(faults)
    return pools


Pools = Annotated[
    dict[Annotated[str, AfterValidator(_pool_name)], PoolSettings],
    Field(min_length=1),
    AfterValidator(_same_tasks_where_shared),
]
