"""Waiting for many tasks: which ids to ask about next, and when.

Asking is what costs: 50,000 tasks that end one by one must not become 50,000 requests that name all
the others. So at most 2,000 ids are asked for at a time, oldest first, because queues work roughly
in that order; and a call that brings little of much is followed by a short pause in which more can
end. Tasks do overtake each other, though, and the oldest may be stuck behind a pause or a far
run_at: every few seconds all the others are asked about once, without waiting.

Pure bookkeeping: it is told the time and the answers, and sends nothing.
"""

import math
from collections.abc import Iterable
from itertools import islice

from msgspec import Struct

from task_queue.client.outcome import OutcomesAnswer

MAX_IDS_PER_CALL = 2_000
MAX_WAIT_SECONDS = 30.0
_SWEEP_EVERY_SECONDS = 5.0
_FEW_IDS = 100
_BREATHER_SECONDS = 0.1


class Ask(Struct, frozen=True):
    """Ask for these ids: after a pause of `pause_seconds`, to be held for `wait_seconds`."""

    task_ids: list[str]
    wait_seconds: float
    pause_seconds: float = 0.0


class PendingTasks:
    """Ids that are not known to be over, in the order given, and how long to wait for them."""

    def __init__(self, task_ids: Iterable[str], now: float, timeout: float | None) -> None:
        """
        Raises:
            ValueError: `timeout` is NaN, which no clock ever reaches.
        """
        if timeout is not None and math.isnan(timeout):
            raise ValueError("timeout=nan: give seconds, or None to wait for ever")
        # A dict because it keeps the order and forgets an id in constant time.
        self._ids: dict[str, None] = dict.fromkeys(task_ids)
        self.total = len(self._ids)
        self.timeout = timeout  #: seconds; None: for ever
        self._deadline = math.inf if timeout is None else now + timeout
        self._to_sweep: list[str] = []
        self._swept_at = now
        self._last_look = False
        self._breathe = False

    def __len__(self) -> int:
        return len(self._ids)

    def oldest(self) -> str:
        """The first id that is pending."""
        return next(iter(self._ids))

    def next_ask(self, now: float) -> Ask | None:
        """What to ask now; None if the time is up and all were asked about since. There must be
        pending ids."""
        if not self._to_sweep:
            if now >= self._deadline:
                if self._last_look:
                    return None
                self._last_look = True
                self._to_sweep = list(self._ids)
            elif len(self._ids) > MAX_IDS_PER_CALL and now >= self._swept_at + _SWEEP_EVERY_SECONDS:
                self._swept_at = now
                self._to_sweep = list(islice(self._ids, MAX_IDS_PER_CALL, None))
        if self._to_sweep:
            some = self._to_sweep[:MAX_IDS_PER_CALL]
            del self._to_sweep[:MAX_IDS_PER_CALL]
            return Ask(some, 0.0)
        return self._ask_oldest(now)

    def take(self, ask: Ask, answer: OutcomesAnswer) -> None:
        """Forget what is over."""
        for outcome in answer.results:
            self._ids.pop(outcome.task_id, None)
        if ask.wait_seconds > 0:  # a sweep says nothing about how fast the oldest end
            few = 0 < len(answer.results) * 10 < len(ask.task_ids)
            self._breathe = few and len(ask.task_ids) > _FEW_IDS

    def _ask_oldest(self, now: float) -> Ask:
        left = self._deadline - now
        pause = min(left, _BREATHER_SECONDS) if self._breathe else 0.0
        longest = MAX_WAIT_SECONDS if len(self._ids) <= MAX_IDS_PER_CALL else _SWEEP_EVERY_SECONDS
        return Ask(list(islice(self._ids, MAX_IDS_PER_CALL)), min(left - pause, longest), pause)
