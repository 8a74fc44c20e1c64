"""What a task costs a scheduler, as a sum of four parts, and what follows for a shard.

    microseconds = a + b * turns + c * workers looked at + d * pulls, each per task

a: accept, lease, complete and save one task. b: a turn, its transaction and fsync. c: a turn looks
at each worker. d: a pull, its event and its answer. Beside this processor time a turn waits for the
disk.
"""

import statistics
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

#: Slots may stand still for so much of their time, because they wait for a turn.
_LOST = 0.1
#: Who reports waits for the rest of the running turn and for the next one.
_TURNS_WAITED = 1.5
_MOST_WORKERS = 1_000_000


class Point(Struct, frozen=True):
    """One measurement."""

    name: str
    workers: int
    turns: float  #: per task, as the next two
    pulls: float
    microseconds: float  #: of a processor, per task
    waited: float  #: microseconds of a turn in which no processor was used

    @property
    def parts(self) -> tuple[float, float, float, float]:
        """What the four coefficients are multiplied by."""
        return 1.0, self.turns, self.turns * self.workers, self.pulls


class Shard(Struct, frozen=True):
    """What one scheduler carries."""

    workers: int
    tasks_per_second: float
    turn_microseconds: float


class SchedulerModel:
    """The four coefficients, in microseconds, by least squares of the relative errors."""

    def __init__(self, points: Sequence[Point]) -> None:
        measured = np.array([point.microseconds for point in points])
        parts = np.array([point.parts for point in points]) / measured[:, None]
        found, *_ = np.linalg.lstsq(parts, np.ones(len(points)), rcond=None)
        self.task, self.turn, self.worker, self.pull = (float(value) for value in found)
        self.wait = statistics.median(point.waited for point in points)

    def microseconds(self, point: Point) -> float:
        """What a task of that point should cost."""
        coefficients = (self.task, self.turn, self.worker, self.pull)
        return sum(c * p for c, p in zip(coefficients, point.parts, strict=True))

    def turn_microseconds(self, workers: int, tasks_per_second: float) -> float | None:
        """How long a turn takes, if each task is reported alone. None: the tasks are too many.

        What comes in during a turn is served by the next one: so turns grow until they are as long
        as it takes for what they serve to come in.
        """
        alone = self.wait + self.turn + self.worker * workers
        each = self.task + self.pull
        busy = tasks_per_second * each / 1e6
        return max(alone + each, alone / (1 - busy)) if busy < 1 else None

    def carries(self, task_seconds: float, slots: int) -> Shard:
        """The most workers whose slots lose no more than a tenth of their time to turns."""
        few, many = 1, _MOST_WORKERS  # few can be carried, many cannot
        while many - few > 1:
            middle = (few + many) // 2
            if self._shard(middle, task_seconds, slots) is None:
                many = middle
            else:
                few = middle
        return self._shard(few, task_seconds, slots) or Shard(0, 0.0, 0.0)

    def _shard(self, workers: int, task_seconds: float, slots: int) -> Shard | None:
        rate = workers * slots / (task_seconds * (1 + _LOST))
        turn = self.turn_microseconds(workers, rate)
        if turn is None or turn * _TURNS_WAITED > task_seconds * _LOST * 1e6:
            return None
        return Shard(workers, rate, turn)
