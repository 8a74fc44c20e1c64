"""The autoscaler's policy is a function: a snapshot in, a decision with its reason out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cluster.autoscale import Decision, PoolLoad, ScalePolicy, decide

POLICY = ScalePolicy(target_wait_seconds=5.0, backlog_per_worker=100, idle_seconds=30.0)
CALM = PoolLoad(
    min_workers=1, max_workers=10, slots=2, workers=2, pending=0, busy_slots=0, waiting=0,
    oldest_wait_seconds=0.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("load", "started", "why"),
    [
        ({}, 0, "as it should be"),
        ({"workers": 0}, 1, "0 of at least 1 workers"),
        ({"workers": 0, "min_workers": 0, "waiting": 3}, 1, "3 tasks wait and there is no worker"),
        ({"waiting": 9, "busy_slots": 4, "oldest_wait_seconds": 6.0}, 1, "waits 6.0 s, target 5.0"),
        ({"waiting": 9, "busy_slots": 4, "oldest_wait_seconds": 60.0}, 2, "waits 60.0 s"),
        ({"waiting": 9, "busy_slots": 4, "oldest_wait_seconds": 4.0}, 0, "as it should be"),
        ({"waiting": 500, "busy_slots": 4}, 1, "500 tasks wait, 200 for each worker are in order"),
        ({"waiting": 5000, "busy_slots": 4}, 2, "5000 tasks wait"),
        ({"waiting": 5000, "busy_slots": 4, "pending": 1}, 0, "as it should be"),
        ({"waiting": 5000, "busy_slots": 20, "workers": 10}, 0, "as it should be"),
        ({"waiting": 5000, "busy_slots": 18, "workers": 9}, 1, "5000 tasks wait"),
        # A long wait with free slots is about to end by itself: the next pull takes the task.
        ({"waiting": 1, "busy_slots": 0, "oldest_wait_seconds": 60.0}, 0, "as it should be"),
    ],
)
def test_starts(load: dict[str, float], started: int, why: str) -> None:
    decision = decide(replace(CALM, **load), POLICY)
    assert decision.start == started
    assert why in decision.reason
    assert decision.drain == ()


def test_drains_the_worker_that_is_idle_longest_one_at_a_time() -> None:
    decision = decide(replace(CALM, workers=3, idle=("a-2", "a-1")), POLICY)
    assert decision == Decision(drain=("a-2",), reason="a-2 idle for 30 s")


def test_keeps_the_smallest_number_however_idle() -> None:
    assert decide(replace(CALM, workers=1, idle=("a-1",)), POLICY) == Decision()


def test_scales_to_zero_only_where_the_pool_allows_it() -> None:
    load = replace(CALM, min_workers=0, workers=1, idle=("a-1",))
    assert decide(load, POLICY).drain == ("a-1",)


loads = st.builds(
    PoolLoad,
    min_workers=st.integers(0, 3),
    max_workers=st.integers(3, 20),
    slots=st.integers(1, 8),
    workers=st.integers(0, 20),
    pending=st.integers(0, 5),
    busy_slots=st.integers(0, 160),
    waiting=st.integers(0, 10**6),
    oldest_wait_seconds=st.floats(0, 10**6),
    idle=st.lists(st.sampled_from(["a-1", "a-2"]), unique=True).map(tuple),
)


@given(loads)
def test_never_leaves_the_bounds_and_never_starts_and_drains_at_once(load: PoolLoad) -> None:
    decision = decide(load, POLICY)
    assert not (decision.start and decision.drain)
    assert decision.start == 0 or load.workers + decision.start <= load.max_workers
    assert not decision.drain or load.workers - len(decision.drain) >= load.min_workers
    assert decision.reason
