"""Wait on a condition of the real world, with a deadline: for tests with processes of their own."""

import time
from collections.abc import Callable

_LOOK_SECONDS = 0.05


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Returns as soon as the condition holds; fails, naming `what`, if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(_LOOK_SECONDS)
