"""Tasks of one call: those in sequence that differ in nothing but their ids may be one run.

Most tasks of a batch are alike. As a run, what they share is checked, sent and read once, and in
the scheduler's memory once: docs/performance.md says what that is worth. Who knows nothing of them,
or has changed some (a batch that is traced), sends a run for each.
"""

from collections.abc import Iterator, Sequence
from typing import overload

from msgspec import Struct
from msgspec.structs import replace

from task_queue.core.task import TaskSpec


class SpecRun(Struct, gc=False, array_like=True):
    """A task, and others right after it that are like it."""

    spec: TaskSpec
    more_ids: list[str]  #: of the others

    def specs(self) -> list[TaskSpec]:
        """All of them. They share every value but their ids."""
        spec = self.spec
        return [spec, *[replace(spec, id=task_id) for task_id in self.more_ids]]


class SpecRuns(Sequence[TaskSpec]):
    """The tasks of some runs, in order. Each look at them makes them anew: take a list to keep."""

    def __init__(self, runs: list[SpecRun]) -> None:
        self.runs = runs

    def __len__(self) -> int:
        return sum(1 + len(run.more_ids) for run in self.runs)

    def __iter__(self) -> Iterator[TaskSpec]:
        for run in self.runs:
            yield from run.specs()

    @overload
    def __getitem__(self, index: int) -> TaskSpec: ...
    @overload
    def __getitem__(self, index: slice) -> list[TaskSpec]: ...
    def __getitem__(self, index: int | slice) -> TaskSpec | list[TaskSpec]:
        return list(self)[index]


def runs_of(specs: Sequence[TaskSpec]) -> list[SpecRun]:
    """As they were made; tasks of which nothing is known are a run each."""
    return specs.runs if isinstance(specs, SpecRuns) else [SpecRun(spec, []) for spec in specs]
