"""What happened to tasks, as families: over all of them, and by queue and task."""

from collections import Counter
from collections.abc import Collection, Iterator
from typing import get_args

from prometheus_client.core import CounterMetricFamily, Metric

from monitoring.plain_counter import plain_counter
from task_queue.core.effects import TallyKind
from task_queue.latency_book import MOST_QUEUES, OTHER
from task_queue.store.query import Tally

#: Pairs of a queue and a task that is declared for another one: callers make them up.
MOST_STRANGE = 1_000

_EVENTS: tuple[str, ...] = get_args(TallyKind)

#: Guide's name to the tally that it counts, and what it means.
_RATES: tuple[tuple[str, TallyKind, str], ...] = (
    ("task_queue:submission_rate", "submitted", "Tasks accepted"),
    ("task_queue:completion_rate", "completed", "Tasks completed"),
    ("task_queue:failure_rate", "failed", "Tasks failed for good"),
    ("task_queue:retry_rate", "retried", "Attempts that will be tried again"),
    ("task_queue:timeout_rate", "timed_out", "Attempts stopped at their time limit"),
)


def task_families(
    tallies: Collection[Tally], known: Collection[tuple[str, str]]
) -> Iterator[Metric]:
    """Growing counts, since the store was made.

    Args:
        known: (queue, task) that may come: they count from zero, and so does each event of a pair
            that has had another. Else `rate()` would miss what a series began with.
    """
    sums: Counter[str] = Counter()
    for tally in tallies:
        sums[tally.kind] += tally.count
    for name, kind, meaning in _RATES:
        text = f"{meaning} since the store was made: use rate()"
        yield plain_counter(name, text, [({}, sums[kind])])
    yield _by_queue_and_task(tallies, known)


def _by_queue_and_task(
    tallies: Collection[Tally], known: Collection[tuple[str, str]]
) -> CounterMetricFamily:
    family = CounterMetricFamily(
        "task_queue_tasks", "What happened to tasks", labels=("queue", "task", "event")
    )
    queues = {tally.queue for tally in tallies} | {queue for queue, _ in known}
    shown = set(sorted(queues)[:MOST_QUEUES])
    own = {(queue, task) for queue, task in known if queue in shown}
    strange = {(tally.queue, tally.name) for tally in tallies if tally.queue in shown} - own
    own.update(sorted(strange)[:MOST_STRANGE])
    counts = {pair: dict.fromkeys(_EVENTS, 0) for pair in sorted(own)}
    for tally in tallies:
        pair = (tally.queue, tally.name)
        if pair not in own:
            pair = (OTHER, tally.name)
        events = counts.setdefault(pair, dict.fromkeys(_EVENTS, 0))
        events[tally.kind] = events.get(tally.kind, 0) + tally.count
    for (queue, task), events in counts.items():
        for event, count in events.items():
            family.add_metric((queue, task, event), count)
    return family
