"""The real machine over a store in memory, turn by turn, in the thread of a test.

It takes the place of `task_queue.scheduler.Scheduler`, which needs an event loop that runs; there
is no rule about tasks here.
"""

from collections.abc import Callable

from task_queue.clock import Clock
from task_queue.core.effects import Answer, Effects
from task_queue.core.events import Event, Ticked, Unheard
from task_queue.core.machine import QueueMachine
from task_queue.core.settings import Rules
from task_queue.ids import new_task_id
from task_queue.next_firing import next_firing
from task_queue.store.memory import MemoryStore

_MANY = 1_000_000


class MemoryScheduler:
    """A machine, its store and a clock. Not for several threads."""

    def __init__(self, clock: Clock, random: Callable[[], float]) -> None:
        self.store = MemoryStore()
        self.store.take_over()
        self._clock = clock
        self._now = self._pruned_at = clock.now()
        self._machine = QueueMachine(
            # Its store is memory too: nothing is gained by paging.
            Rules(window=_MANY, max_retrying=_MANY, max_queues=_MANY, memory_bytes=2**63),
            self.store.load(), self._now,
            new_id=new_task_id, random=random, next_firing=next_firing,
        )  # fmt: skip

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock.now()

    def request(self, event: Event) -> Answer:
        """Tell the machine something and get its answer."""
        return self.turn(event).answers[-1]

    def turn(self, event: Event) -> Effects:
        """Tell the machine something and save what follows."""
        before, self._now = self._now, max(self._now, self._clock.now())
        # Between two turns nothing happens here: that the worker was silent is not its fault.
        effects = self._machine.handle([Unheard(self._now - before), event], self._now)
        self.store.commit(effects.changes)
        return effects

    def look_at_clock(self) -> None:
        """Let happen what is due by now: delays and back-offs end, tasks expire, schedules fire,
        results come to the end of their time to live."""
        if self._clock.now() > self._now:
            self.turn(Ticked())
        if self._now > self._pruned_at:
            self._pruned_at = self._now
            self.store.prune(self._now, 0.0, 0, _MANY)

    def next_due(self) -> float | None:
        """When `look_at_clock` has something to do, at the earliest; seconds since the epoch."""
        times = [schedule.next_run_at for schedule in self._machine.schedules.values()]
        due = self._machine.book.timers.next_time()
        if due is not None:
            times.append(due)
        return min(times, default=None)
