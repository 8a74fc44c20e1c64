"""How many series callers can make who make up queues, and that no count is lost for it."""

from prometheus_client.core import Metric

from monitoring.task_families import MOST_STRANGE, task_families
from task_queue.store.query import Tally

_QUEUES, _TASKS = 60, 40


def by_queue_and_task(tallies: list[Tally], known: list[tuple[str, str]]) -> Metric:
    *_, family = task_families(tallies, known)
    return family


def test_pairs_beyond_the_limit_are_counted_as_other_and_declared_ones_never_are() -> None:
    tallies = [
        Tally(f"q{queue:02}", f"t{task:02}", "submitted", 3)
        for queue in range(_QUEUES) for task in range(_TASKS)
    ]  # fmt: skip
    last = (f"q{_QUEUES - 1}", f"t{_TASKS - 1}")  # the last one in the order of names
    family = by_queue_and_task(tallies, [last])
    counts = {
        (sample.labels["queue"], sample.labels["task"]): sample.value
        for sample in family.samples
        if sample.labels["event"] == "submitted"
    }
    assert counts[last] == 3
    assert len([pair for pair in counts if pair[0] != "other"]) == MOST_STRANGE + 1
    assert len([pair for pair in counts if pair[0] == "other"]) <= _TASKS
    assert sum(counts.values()) == 3 * _QUEUES * _TASKS
