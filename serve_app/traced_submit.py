"""The span `task:submit` of each accepted task that is traced: from the call to the scheduler until
it is on disk.

Wraps the call, so that a single submit, a batch and a call that several requests share are alike.
At most so many tasks a second are traced, whole: the others are told to the scheduler as not
sampled, so nothing further down records them either.
"""

from collections.abc import Sequence

from monitoring.per_second import PerSecond
from monitoring.spans import Spans
from monitoring.submit_span import tell_submit
from serve_app.submit_coalescer import Submit
from task_queue.clock import Clock
from task_queue.core.effects import Accepted, Refused
from task_queue.core.spec_runs import runs_of
from task_queue.core.task import TaskSpec
from task_queue.tracing.traceparent import is_sampled, unsampled


class TracedSubmit:
    """A `Submit` around the real one."""

    def __init__(self, submit: Submit, spans: Spans, tasks_per_second: int, clock: Clock) -> None:
        self._submit = submit
        self._spans = spans
        self._traced = PerSecond(tasks_per_second)
        self._clock = clock

    async def __call__(self, specs: Sequence[TaskSpec]) -> Accepted | Refused:
        """Have tasks accepted, all or none."""
        if not any(_is_sampled(run.spec) for run in runs_of(specs)):
            return await self._submit(specs)
        specs = list(specs)
        sampled = [position for position, spec in enumerate(specs) if _is_sampled(spec)]
        begun = self._clock.now()
        traced = self._within_limit(specs, sampled, begun)
        answer = await self._submit(specs)
        if isinstance(answer, Accepted):
            ended = self._clock.now()
            older = set(answer.duplicates)  # those tasks have spans of their own
            for position in traced:
                if position not in older:
                    tell_submit(self._spans, specs[position], begun, ended)
        return answer

    def _within_limit(
        self, specs: Sequence[TaskSpec], sampled: Sequence[int], now: float
    ) -> Sequence[int]:
        """Which tasks are traced; the others get a traceparent that says so."""
        traced = sampled[: self._traced.take(len(sampled), now)]
        known: dict[str, str] = {}  # the tasks of a batch share one text
        for position in sampled[len(traced) :]:
            text = specs[position].traceparent or ""
            specs[position].traceparent = known.setdefault(text, unsampled(text))
        self._spans.counts.thinned += len(sampled) - len(traced)
        return traced


def _is_sampled(spec: TaskSpec) -> bool:
    return spec.traceparent is not None and is_sampled(spec.traceparent)
