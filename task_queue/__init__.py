"""A durable distributed task queue: define tasks, submit them, wait for their results.

    from task_queue import task, Client

Everything is imported at its first use, so that a process which only runs tasks never pays for the
HTTP client, and one which only submits never pays for anything else.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from task_queue.client.async_client import AsyncClient
    from task_queue.client.client import Client
    from task_queue.client.handle import AsyncTaskHandle, TaskHandle
    from task_queue.client.submission import submit_request
    from task_queue.context import current_task
    from task_queue.errors import (
        Cancel,
        ConfigError,
        Conflict,
        InvalidRequest,
        NotAuthorized,
        NotFound,
        NotJsonError,
        QueueUnreachable,
        RequestRefused,
        ResultGone,
        Retry,
        StoreUnavailable,
        TaskCancelled,
        TaskDefinitionError,
        TaskDidNotSucceed,
        TaskExpired,
        TaskFailed,
        TaskQueueError,
        TooManyRequests,
    )
    from task_queue.tasks import task

__version__ = "0.1.0"

__all__ = [
    "AsyncClient",
    "AsyncTaskHandle",
    "Cancel",
    "Client",
    "ConfigError",
    "Conflict",
    "InvalidRequest",
    "NotAuthorized",
    "NotFound",
    "NotJsonError",
    "QueueUnreachable",
    "RequestRefused",
    "ResultGone",
    "Retry",
    "StoreUnavailable",
    "TaskCancelled",
    "TaskDefinitionError",
    "TaskDidNotSucceed",
    "TaskExpired",
    "TaskFailed",
    "TaskHandle",
    "TaskQueueError",
    "TooManyRequests",
    "current_task",
    "submit_request",
    "task",
]

#: Where each public name lives; what is not listed here is an error.
_HOMES = {
    "AsyncClient": "task_queue.client.async_client",
    "AsyncTaskHandle": "task_queue.client.handle",
    "Client": "task_queue.client.client",
    "TaskHandle": "task_queue.client.handle",
    "current_task": "task_queue.context",
    "submit_request": "task_queue.client.submission",
    "task": "task_queue.tasks",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'task_queue' has no attribute '{name}'")
    value: object = getattr(import_module(_HOMES.get(name, "task_queue.errors")), name)
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
