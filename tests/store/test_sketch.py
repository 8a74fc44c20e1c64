"""Percentiles of a sketch are those of the values, to within the error that is promised."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_queue.store.sketch import ERROR, add_sketch, percentile, sketch_of

_VALUES = st.lists(st.floats(1e-5, 1e7) | st.sampled_from([0.0, -1.0, 0.1]), max_size=60)


def _nearest_rank(values: list[float], percent: float) -> float:
    ordered = sorted(max(0.0, value) for value in values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


@given(values=_VALUES.filter(bool), percent=st.sampled_from([1, 50, 95, 99, 100]))
def test_a_percentile_is_that_of_the_nearest_rank(values: list[float], percent: int) -> None:
    found = percentile(sketch_of(values), percent)
    assert found == pytest.approx(_nearest_rank(values, percent), rel=ERROR * 1.0001, abs=0.0)


@given(ones=_VALUES, others=_VALUES)
def test_two_sketches_add_up_to_that_of_all_values(ones: list[float], others: list[float]) -> None:
    both = sketch_of(ones)
    add_sketch(both, sketch_of(others))
    assert both == sketch_of([*ones, *others])


def test_no_values_have_no_percentile() -> None:
    assert percentile(sketch_of([]), 50) is None


def test_a_sketch_stays_small_whatever_the_number_of_values() -> None:
    day = sketch_of(0.001 * n for n in range(1, 86_400))
    assert len(day) < 600
