"""Machines that must not contradict themselves when a test is done with them."""

from collections.abc import Callable, Iterator

import pytest

from task_queue.core.invariants import check_invariants
from task_queue.core.settings import Rules
from tests.core.driven_machine import DrivenMachine


@pytest.fixture
def make_machine() -> Iterator[Callable[[Rules], DrivenMachine]]:
    """Machines under rules of one's own."""
    made: list[DrivenMachine] = []

    def make(rules: Rules) -> DrivenMachine:
        made.append(DrivenMachine(rules))
        return made[-1]

    yield make
    for driven in made:
        check_invariants(driven.machine)


@pytest.fixture
def machine(make_machine: Callable[[Rules], DrivenMachine]) -> DrivenMachine:
    """A machine under the rules as they come."""
    return make_machine(Rules())
