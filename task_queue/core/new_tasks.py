"""From what callers asked for to tasks, sorted by what becomes of them.

They come in thousands that are alike: everything here looks at a crowd, not at each by itself.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby

from task_queue.core.status import Status
from task_queue.core.task import Task, TaskSpec


def is_timed(spec: TaskSpec) -> bool:
    """Whether a task was asked for with a time at which it may have to move."""
    return spec.run_at is not None or spec.expires_at is not None


def new_tasks(specs: Iterable[TaskSpec], first_seq: int, now: float) -> list[Task]:
    """A task for each, in order, numbered from `first_seq` on."""
    tasks = [Task(spec, seq, now) for seq, spec in enumerate(specs, first_seq)]
    for task in tasks:
        spec = task.spec
        if spec.expires_at is not None:
            task.expires_at = spec.expires_at
        if spec.run_at is not None and spec.run_at > now:
            task.status = Status.SCHEDULED
            task.due_at = spec.run_at
    return tasks


def by_line(tasks: Iterable[Task]) -> Iterable[list[Task]]:
    """Those of each queue and priority together, in their order."""
    lines: dict[tuple[str, int], list[Task]] = {}
    queue, priority = "", -1
    line: list[Task] = []
    for task in tasks:
        spec = task.spec
        if spec.priority != priority or spec.queue != queue:  # most of a crowd are alike
            queue, priority = spec.queue, spec.priority
            line = lines.setdefault((queue, priority), [])
        line.append(task)
    return lines.values()


def by_motion(tasks: Sequence[Task]) -> Iterable[tuple[bool, Sequence[Task]]]:
    """The tasks of a line in their order, in runs: those that may have to move when a time comes,
    and those that only wait for their turn."""
    moving = [task for task in tasks if task.due_at or task.expires_at is not None]
    if not moving:
        return ((False, tasks),)
    return [(moves, list(run)) for moves, run in groupby(tasks, _moves_by_time)]


def _moves_by_time(task: Task) -> bool:
    return bool(task.due_at) or task.expires_at is not None
