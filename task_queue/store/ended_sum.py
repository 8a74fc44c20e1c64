"""What ended in a slice of time, added up: small, and two of them add up to that of both slices."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
from msgspec import Struct, field

from task_queue.core.status import Status
from task_queue.core.task import Task
from task_queue.store.query import FailurePattern
from task_queue.store.sketch import Sketch, add_sketch, sketch_of

#: Of one sum: the most frequent ones.
MOST_PATTERNS = 100
_MESSAGE_CHARACTERS = 300


class Level(NamedTuple):
    """Slices of one length, from the epoch on."""

    seconds: int
    kept_seconds: int  #: how long their sums are kept

    def first_kept(self, now: float) -> int:
        """The number of the oldest slice that is still kept."""
        return int(now - self.kept_seconds) // self.seconds


#: Each is made of the one before. Together a week is some 200 sums.
LEVELS = (Level(10, 7_200), Level(600, 172_800), Level(3_600, 691_200))


class EndedTask(Struct, gc=False):
    """What is added up of a task that is over. What tells who it is is empty if it COMPLETED."""

    finished_at: float
    seq: int
    status: str
    submitted_at: float
    started_at: float | None
    task_id: str = ""
    name: str = ""
    error_type: str = ""
    error_message: str = ""

    @classmethod
    def of(cls, task: Task) -> "EndedTask":
        """From a task that has a `finished_at`."""
        assert task.finished_at is not None
        times = task.finished_at, task.seq, task.status, task.submitted_at, task.started_at
        if task.status is Status.COMPLETED:
            return cls(*times)
        error = task.error
        texts = (error.type, error.message) if error else ("", "")
        return cls(*times, task.spec.id, task.spec.name, *texts)


class EndedSum(Struct, array_like=True):
    """Of tasks that ended in one slice of time."""

    completed: int = 0
    failed: int = 0
    other: int = 0  #: cancelled and expired
    waits: Sketch = field(default_factory=dict)  #: submission to start, of completed tasks
    runs: Sketch = field(default_factory=dict)  #: start to end
    failures: list[FailurePattern] = field(default_factory=list)  #: may have several of one kind

    def add(self, other: "EndedSum") -> None:
        """Add the sum of another slice."""
        self.completed += other.completed
        self.failed += other.failed
        self.other += other.other
        add_sketch(self.waits, other.waits)
        add_sketch(self.runs, other.runs)
        self.failures = [*self.failures, *other.failures]
        if len(self.failures) > 4 * MOST_PATTERNS:
            self.merge_failures()

    def merge_failures(self) -> None:
        """Make one of those that are of the same kind, and leave out the rarest."""
        self.failures = most_frequent(self.failures)[:MOST_PATTERNS]


#: By (seconds, number): slice `number` of a level begins `number * seconds` after the epoch.
Sums = Mapping[tuple[int, int], EndedSum]


def sum_of_ended(tasks: Iterable[EndedTask]) -> EndedSum:
    """Add up tasks, of one slice."""
    result = EndedSum()
    waits: list[float] = []
    runs: list[float] = []
    failed: list[EndedTask] = []
    for task in tasks:
        if task.status == Status.COMPLETED:
            result.completed += 1
            if task.started_at is not None:
                waits.append(task.started_at - task.submitted_at)
                runs.append(task.finished_at - task.started_at)
        elif task.status == Status.FAILED:
            failed.append(task)
        else:
            result.other += 1
    result.waits, result.runs = sketch_of(waits), sketch_of(runs)
    result.failed = len(failed)
    result.failures = most_frequent(map(_pattern, failed))[:MOST_PATTERNS]
    return result


def most_frequent(patterns: Iterable[FailurePattern]) -> list[FailurePattern]:
    """One pattern for each task and type of error, whatever the slices; most frequent first."""
    lasts: dict[tuple[str, str], FailurePattern] = {}
    counts: dict[tuple[str, str], int] = {}
    for pattern in patterns:
        key = pattern.name, pattern.error_type
        last = lasts.get(key)
        if last is None or pattern.last_at > last.last_at:
            lasts[key] = pattern
        counts[key] = counts.get(key, 0) + pattern.count
    sums = [msgspec.structs.replace(last, count=counts[key]) for key, last in lasts.items()]
    return sorted(sums, key=lambda p: (-p.count, p.name, p.error_type))


def _pattern(task: EndedTask) -> FailurePattern:
    message = task.error_message[:_MESSAGE_CHARACTERS]
    return FailurePattern(task.name, task.error_type, 1, task.finished_at, message, task.task_id)
