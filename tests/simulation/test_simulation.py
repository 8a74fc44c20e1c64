"""Seeded worlds full of faults keep every promise, replay exactly, and find planted bugs."""

import logging
from collections.abc import Iterator
from random import Random

import pytest
import structlog

from tests.simulation.plan import CROWDED, FOLLOWED, LATE_COPIES, OPERATED, stormy
from tests.simulation.planted import PLANTED
from tests.simulation.virtual_loop import Deadlock, VirtualLoop
from tests.simulation.world import World

_SEEDS = 200
_CROWDED_SEEDS = 20
_SEEDS_TO_FIND = 250  #: "late_start" takes 174, "no_fencing" 123, the others 26 at most


@pytest.fixture(autouse=True)
def quiet_logs() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


def world(seed: int) -> World:
    """The stormy world of a seed."""
    return World(seed, stormy(Random(seed)))


def test_stormy_worlds_keep_every_promise() -> None:
    for seed in range(_SEEDS):
        violations = world(seed).run()
        assert not violations, f"seed {seed}: {violations[0]}"


def test_crowded_worlds_invert_orders_no_further_than_the_read_ahead() -> None:
    for seed in range(_CROWDED_SEEDS):
        violations = World(seed, CROWDED).run()
        assert not violations, f"seed {seed}: {violations[0]}"


def test_worlds_of_late_copies_keep_every_promise() -> None:
    for seed in range(_CROWDED_SEEDS):
        violations = World(seed, LATE_COPIES).run()
        assert not violations, f"seed {seed}: {violations[0]}"


def test_operated_worlds_keep_every_promise() -> None:
    for seed in range(_CROWDED_SEEDS):
        violations = World(seed, OPERATED).run()
        assert not violations, f"seed {seed}: {violations[0]}"


def test_a_seed_replays_exactly() -> None:
    first, second, other = world(7), world(7), world(8)
    for each in (first, second, other):
        each.run()
    assert first.digest() == second.digest() != other.digest()


@pytest.mark.parametrize("name", list(PLANTED))
def test_a_planted_bug_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, expected = PLANTED[name]
    plant(monkeypatch)
    for seed in range(_SEEDS_TO_FIND):
        plans = stormy(Random(seed)), CROWDED, LATE_COPIES, OPERATED, FOLLOWED
        made = World(seed, plans[seed % len(plans)])
        try:
            violations = made.run()
        except AssertionError:
            continue  # the invariants found it first; the checker has to find it as well
        if {violation.rule for violation in violations} & expected:
            return
    pytest.fail(f"{name} was not found within {_SEEDS_TO_FIND} seeds")


def test_a_loop_in_which_nothing_is_due_says_so() -> None:
    loop = VirtualLoop()
    try:
        forever = loop.create_future()
        with pytest.raises(Deadlock):
            loop.run_until_complete(forever)
    finally:
        loop.close()
