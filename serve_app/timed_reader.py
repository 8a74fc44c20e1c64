"""A reader whose questions are timed: one histogram for each, because each has its own thread."""

from collections.abc import Callable
from typing import Any, cast

from task_queue.clock import Clock
from task_queue.histogram import Histogram
from task_queue.store.protocol import Reader


def timed_reader(reader: Reader, clock: Clock, seconds: Histogram) -> Reader:
    """`reader`, with every question counted in `seconds`, failed ones included."""
    return cast(Reader, _Timed(reader, clock, seconds))


class _Timed:
    def __init__(self, reader: Reader, clock: Clock, seconds: Histogram) -> None:
        self._reader = reader
        self._clock = clock
        self._seconds = seconds

    def __getattr__(self, name: str) -> Callable[..., Any]:
        question = getattr(self._reader, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            begun = self._clock.monotonic()
            try:
                return question(*args, **kwargs)
            finally:
                self._seconds.add(self._clock.monotonic() - begun)

        setattr(self, name, timed)  # found at once the next time
        return timed
