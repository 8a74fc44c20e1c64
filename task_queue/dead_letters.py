"""What the store has of dead letters that somebody else has found: by their keys, so that it takes
as long as there are of them, however many others there are."""

from collections.abc import Sequence

from task_queue.core.status import Status
from task_queue.core.task import Task
from task_queue.scheduler_api import DeadLetter
from task_queue.store.protocol import Store

_MOST_BYTES = 8 * 2**20  #: of arguments
_AT_ONCE = 8  #: tasks whose arguments are read together: of a megabyte each, at most


def still_dead(letters: Sequence[DeadLetter], store: Store) -> list[Task]:
    """Those that are dead letters as they were found, without their arguments, oldest first."""
    attempts = dict(letters)
    found = store.find(list(attempts)).values()
    tasks = [
        task
        for task in found
        if task.in_dlq
        and task.status is Status.FAILED
        and task.attempt == attempts[task.spec.id]  # else it ran again since
    ]
    tasks.sort(key=lambda task: task.seq)
    return tasks


def fill_in_arguments(tasks: Sequence[Task], store: Store) -> bool:
    """Read the arguments of tasks. Whether that was done: not if several have too much of them."""
    read = 0
    for begin in range(0, len(tasks), _AT_ONCE):
        some = tasks[begin : begin + _AT_ONCE]
        arguments = store.arguments([task.seq for task in some])
        for task in some:
            task.spec.arguments = arguments[task.seq]
            read += len(arguments[task.seq])
        if read > _MOST_BYTES and len(tasks) > 1:
            return False
    return True
