"""What a scheduler is made of; tests replace what they need to hold still."""

from collections.abc import Callable

from msgspec import Struct

from task_queue.clock import Clock
from task_queue.core.effects import Effects
from task_queue.core.machine import QueueMachine
from task_queue.core.schedule import NextFiring, TraceFiring, untraced
from task_queue.core.settings import Rules
from task_queue.store.protocol import Store


class SchedulerParts(Struct):
    """See the module."""

    open_store: Callable[[], Store]
    rules: Rules
    clock: Clock
    new_id: Callable[[float], str]
    random: Callable[[], float]
    next_firing: NextFiring
    trace_firing: TraceFiring = untraced
    #: With so many tasks and reports in the inbox, a turn is decided while another is being saved.
    ahead_from: int = 100
    #: Called after each committed turn with its time, when its answers have left but before the
    #: next turn is decided; must not raise.
    on_turn: Callable[[Effects, float], None] = lambda _fx, _now: None
    #: Called with what went wrong, in words, when a turn failed or the store was away.
    on_trouble: Callable[[str, BaseException], None] = lambda _what, _error: None
    #: Called once when another scheduler has taken over the store: this one must go.
    on_dethroned: Callable[[], None] = lambda: None
    #: Called in every turn, before it is saved, with the machine; raises if it contradicts itself.
    check: Callable[[QueueMachine], None] = lambda _machine: None
