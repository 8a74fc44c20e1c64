"""Our text of families is prometheus_client's, to the byte, whatever a label or a number is."""

from typing import Any

import pytest
from prometheus_client import exposition, openmetrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import ALLOWUTF8

from monitoring.exposition import openmetrics_format, text_format
from monitoring.histogram_family import histogram_family
from monitoring.plain_counter import plain_counter
from task_queue.histogram import Exemplar, Histogram

_HOSTILE = ["plain", 'a "quoted" one', "back\\slash", "two\nlines", "größe ☃", "", "{}=,# 1"]
_NUMBERS = [0, 1, -1, 0.1, 1e-9, 123_456.75, 999_999.0, 1e6, 1.5e6, 2**53, 1e21, -1e9,
            float("inf"), float("-inf"), float("nan")]  # fmt: skip


class _Registry:
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


def families() -> list[Metric]:
    gauge = GaugeMetricFamily("task_queue:depth", "Waiting: high 7..9", labels=("queue", "band"))
    for text in _HOSTILE:
        gauge.add_metric((text, text[::-1]), 1)
    counter = CounterMetricFamily("task_queue_tasks", "Tasks", labels=("b", "a"))
    for number in _NUMBERS:
        counter.add_metric((str(number), "x"), number)
    alone = GaugeMetricFamily("workers:healthy", "Without labels", value=3)
    nothing = GaugeMetricFamily("worker:task_rate", "Without samples", labels=("worker_id",))
    seconds = Histogram()
    for value in (0.004, 7.0, 99_999.0):
        seconds.add(value)
        seconds.show(Exemplar("4bf92f3577b34da6a3ce929d0e0e4736", value, 1_700_000_000.125))
    histogram = histogram_family("api:seconds", "Times", "route", {"/a/{b}": seconds})
    plain = plain_counter("api:requests", "Answers", [({"status": "200"}, 7), ({}, 2)])
    return [gauge, counter, alone, nothing, histogram, plain]


def test_openmetrics() -> None:
    registry: Any = _Registry(families())
    theirs: Any = openmetrics.exposition.generate_latest  # it has no types
    assert openmetrics_format(families()) == theirs(registry, ALLOWUTF8)
    assert b"trace_id" in openmetrics_format(families())


@pytest.mark.parametrize("family", families(), ids=lambda family: family.name)
def test_the_older_text_but_that_the_counters_of_the_guide_are_counters(family: Metric) -> None:
    registry: Any = _Registry([family])
    theirs = exposition.generate_latest(registry, ALLOWUTF8)
    assert text_format([family]) == theirs.replace(b" untyped\n", b" counter\n")
