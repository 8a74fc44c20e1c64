"""The loop around the machine: gather what happened, decide, save, answer.

Everything that arrives while the event loop is busy, or while a turn is being saved, shares one
turn: one call of the machine and one transaction. Nothing is answered before its turn is saved. If
that fails, the machine has decided things that never became true: it is thrown away, everybody in
that turn is told SchedulerUnavailable, and a new one is loaded from the store as soon as the store
answers.

A store may save a turn while the event loop goes on. What comes meanwhile waits for the next turn,
which is decided when this one is saved; or before, if there is much to decide and nothing in either
turn but everyday work: what is told of a turn when it is saved must still be true of its tasks. If
the first is not saved, neither is the second. Nobody asks the store anything meanwhile (`settled`).
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from msgspec import Struct

from task_queue.core.effects import Answer, Effects
from task_queue.core.events import Event, Ticked, Unheard
from task_queue.core.machine import QueueMachine
from task_queue.inbox import Call, Inbox, fail
from task_queue.paging import pages_wanted, read_pages
from task_queue.scheduler_api import SchedulerUnavailable
from task_queue.scheduler_parts import SchedulerParts
from task_queue.store.protocol import StaleEpoch, Store, StoreError
from task_queue.turn_stats import TurnStats

_RELOAD_DELAYS_SECONDS = (0.05, 0.2, 0.5, 1.0, 2.0)
#: The wall clock was set if it gained so much on the steady one between two turns.
_STEP_SECONDS = 0.02
#: Of the event loop, from the end of a turn until its answers have left.
_LAPS_OF_ANSWERS = 4
#: A turn that takes longer to save is taken for a store that is away: nobody waits for it in line.
PATIENCE_SECONDS = 5.0

T = TypeVar("T")


class TurnWatcher(Protocol):
    """Who is told what became of the turns."""

    def loaded(self, store: Store) -> None:
        """A machine was built from the store; what was known of an earlier one is void."""

    def saved(self, fx: Effects, machine: QueueMachine, now: float) -> None:
        """A turn is durable, and its callers are about to be answered."""

    def lost(self, error: SchedulerUnavailable) -> None:
        """There is no machine now: whoever waits for later turns waits in vain."""


class Turn(Struct):
    """A turn that was decided and is not saved yet."""

    calls: list[Call]
    fx: Effects
    pages: int  #: events before those of the calls
    now: float  #: when it was decided
    began: float  #: the same by the steady clock
    saving: "asyncio.Future[None] | None" = None  #: None: it is saved


class TurnLoop:
    """One machine over one store. One event loop, no threads."""

    def __init__(self, parts: SchedulerParts, watcher: TurnWatcher) -> None:
        self._parts = parts
        self._clock = parts.clock
        self._watcher = watcher
        self.epoch = 0
        self.now = 0.0  #: of the last turn
        self.stats = TurnStats()
        self._store: Store | None = None
        self._machine: QueueMachine | None = None
        self._steady = parts.clock.monotonic()
        self._inbox = Inbox()
        self._turn_is_due = False
        self._under_way: list[Turn] = []
        self._untold: list[tuple[Effects, float]] = []  #: saved turns that `on_turn` has not seen
        self._saved_at = self._steady  #: the last commit, by the steady clock
        self._settling: list[asyncio.Future[None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._loading: asyncio.Task[None] | None = None
        self._stopped = False

    # ---- life ------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to load the store. Until that is done, every call raises SchedulerUnavailable.

        Repeating it is harmless: what is loaded stays.
        """
        if self._machine is None and (self._loading is None or self._loading.done()):
            self._loading = asyncio.get_running_loop().create_task(self._load())

    async def started(self) -> None:
        """Wait until the store is loaded."""
        self.start()
        if self._loading is not None:
            await asyncio.shield(self._loading)

    def stop(self) -> None:
        """Answer nothing more and let the store go."""
        self._stopped = True
        self._disarm_timer()
        self._tell_turns()
        if self._loading is not None:
            self._loading.cancel()
        self._lose(SchedulerUnavailable("the scheduler was stopped"))
        self._close_store()

    def _close_store(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            try:
                store.close()
            except StoreError as error:
                self._parts.on_trouble("the store cannot be closed", error)

    async def _load(self) -> None:
        """Build the machine from the store, however long the store stays away."""
        attempt = 0
        while True:
            try:
                self._try_load()
            except Exception as error:  # noqa: BLE001  nobody else would ever try again
                self._parts.on_trouble("the store cannot be loaded", error)
                self._close_store()
            if self._machine is not None or self._stopped:
                return  # else the first turn failed, and said so
            delay = _RELOAD_DELAYS_SECONDS[min(attempt, len(_RELOAD_DELAYS_SECONDS) - 1)]
            attempt += 1
            await asyncio.sleep(delay)

    def _try_load(self) -> None:
        parts = self._parts
        if self._store is None:
            self._store = parts.open_store()
            self.epoch = self._store.take_over()
        # A store that cannot be written is no store: until it can, everybody is told so.
        self._store.check_writable()
        loaded = self._store.load()
        self._watcher.loaded(self._store)
        self.now = max(self.now, self._clock.now())
        self._steady = self._clock.monotonic()
        self._machine = QueueMachine(
            parts.rules, loaded, self.now,
            new_id=parts.new_id, random=parts.random, next_firing=parts.next_firing,
            trace_firing=parts.trace_firing,
        )  # fmt: skip
        self.turn()

    # ---- calls -----------------------------------------------------------------------------

    def require_machine(self) -> QueueMachine:
        """All that has been decided, saved or not.

        Raises:
            SchedulerUnavailable: there is none.
        """
        if self._machine is None:
            raise SchedulerUnavailable("the store is being loaded; try again shortly")
        return self._machine

    async def request(self, event: Event) -> Answer:
        """Have the machine handle something. Its answer, once that is saved."""
        self._refuse_if_store_hangs()
        future = self._inbox.add(event)
        self._want_turn()
        return await future

    async def settled(self) -> None:
        """Wait until the store knows all that was decided. Up to the next `await` it stays so: what
        is asked of the store is still true in the turn that takes a `request` made there."""
        while self._under_way:
            self._refuse_if_store_hangs()
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._settling.append(waiter)
            await waiter

    async def caught_up(self) -> None:
        """Like `settled`, after all that has come in so far."""
        await self.settled()
        if self._inbox:
            self.turn()
            await self.settled()

    def ask(self, question: Callable[[Store], T]) -> T:
        """A direct word with the store, which must be `settled`.

        Raises:
            SchedulerUnavailable: it did not answer.
        """
        self.require_machine()
        store = self._store
        assert store is not None
        try:
            return question(store)
        except StoreError as error:
            self._start_over_if_away(store)
            raise SchedulerUnavailable(str(error)) from error

    def tick(self) -> None:
        """Let the machine see the time."""
        if self._machine is not None:
            self._inbox.note(Ticked())
            self.turn()

    @property
    def commit_waits_seconds(self) -> float:
        """How long the oldest turn that is not saved has waited; 0.0: there is none."""
        return self._clock.monotonic() - self._under_way[0].began if self._under_way else 0.0

    def _refuse_if_store_hangs(self) -> None:
        self.require_machine()
        waited = self.commit_waits_seconds
        if waited > PATIENCE_SECONDS:
            raise SchedulerUnavailable(f"the store has not answered for {waited:.0f} s")

    # ---- turns -----------------------------------------------------------------------------

    def _want_turn(self) -> None:
        if not self._turn_is_due:
            self._turn_is_due = True
            asyncio.get_running_loop().call_soon(self._turn_if_due)

    def _turn_if_due(self) -> None:
        if self._turn_is_due:  # else one came before
            self.turn()

    def turn(self) -> None:
        """Handle, save and answer all that has come in."""
        self._turn_is_due = False
        machine, store = self._machine, self._store
        if self._under_way and not self._may_go_ahead():
            return  # the end of the one that is under way has the next one begin
        if machine is None or store is None:
            away = SchedulerUnavailable("the store does not answer; try again shortly")
            fail(self._inbox.take(), away)
            return
        self._tell_turns()  # before their tasks move on
        self._look_at_clock()
        calls = self._inbox.take()
        refused = machine.refused_reports
        try:
            pages = read_pages(machine, store)
            fx = machine.handle([*pages, *(event for event, _ in calls)], self.now)
            self._parts.check(machine)
            turn = Turn(calls, fx, len(pages), self.now, self._clock.monotonic())
            turn.saving = self._save(store, turn, machine.refused_reports > refused)
        except Exception as error:  # noqa: BLE001  whatever it was, memory and store may differ now
            self._fail_turn(calls, error)
            return
        if turn.saving is None:
            self._finish(turn, machine)
        else:
            self._under_way.append(turn)
            turn.saving.add_done_callback(partial(self._landed, turn, machine))

    def _may_go_ahead(self) -> bool:
        """Whether a turn may be decided while one is under way."""
        return (
            len(self._under_way) == 1
            and self._inbox.weight >= self._parts.ahead_from
            and self._inbox.is_plain
            and not self._settling  # who waits for the store comes first
            and not self._under_way[0].fx.changes.timeline  # all that ended in it is over
            and self._machine is not None
            and not pages_wanted(self._machine)  # the store does not have them all yet
        )

    def _look_at_clock(self) -> None:
        """What was sent while this process was stopped is still on its way: nobody is to blame."""
        before, self.now = self.now, max(self.now, self._clock.now())
        passed = self.now - before
        steady, self._steady = self._steady, self._clock.monotonic()
        jumped = passed - (self._steady - steady)
        if passed > 2 * self._parts.rules.poll_seconds:  # a turn comes at least once in that time
            self._inbox.note(Unheard(passed))
        elif jumped > _STEP_SECONDS:  # the clock was set ahead: a lease is no shorter for that
            self._inbox.note(Unheard(jumped))

    def _save(self, store: Store, turn: Turn, has_refused: bool) -> "asyncio.Future[None] | None":
        """Save the turn. Who refuses a report without saving anything proves that he may: one that
        was replaced does not know the newer leases, and the worker forgets what was refused."""
        self.stats.turns += 1
        if turn.fx.changes:
            return store.begin_commit(turn.fx.changes)
        if self._under_way:  # what it answers rests on that
            return self._under_way[-1].saving
        if has_refused:
            store.check_writable()
        return None

    def _landed(self, turn: Turn, machine: QueueMachine, saving: "asyncio.Future[None]") -> None:
        """What was under way is over."""
        error = StoreError("it was cut off") if saving.cancelled() else saving.exception()
        if turn not in self._under_way:
            return  # its callers were told when the machine was lost
        self._under_way.remove(turn)
        if error is not None:
            self._fail_turn(turn.calls, error)
            return
        self._finish(turn, machine)
        if not self._under_way:
            self._wake_settling()  # they go on before the next turn does
        if self._inbox:
            self._want_turn()

    def _finish(self, turn: Turn, machine: QueueMachine) -> None:
        fx = turn.fx
        if fx.changes:
            # One that was decided ahead began to be saved when the one before it had been.
            began = max(turn.began, self._saved_at)
            self._saved_at = self._clock.monotonic()
            self.stats.note_commit(fx.changes, self._saved_at - began)
        self._watcher.saved(fx, machine, turn.now)  # first of all, workers have what to do
        for (_, future), answer in zip(turn.calls, fx.answers[turn.pages :], strict=True):
            if not future.done():  # its caller may have gone away
                future.set_result(answer)
        self._untold.append((fx, turn.now))
        if len(self._untold) == 1:
            self._tell_turns_later(_LAPS_OF_ANSWERS)
        self._arm_timer(machine)
        if pages_wanted(machine):
            self._want_turn()

    def _tell_turns_later(self, laps: int) -> None:
        """Log lines and spans can wait, callers cannot."""
        if laps:
            asyncio.get_running_loop().call_soon(self._tell_turns_later, laps - 1)
        else:
            self._tell_turns()

    def _tell_turns(self) -> None:
        untold, self._untold = self._untold, []
        for fx, now in untold:
            self._parts.on_turn(fx, now)

    def _arm_timer(self, machine: QueueMachine) -> None:
        due = machine.next_time()
        if due is None:
            self._disarm_timer()
            return
        # Once in a poll period at least: a longer time means that this process stood still.
        delay = max(0.001, min(due - self._clock.now(), self._parts.rules.poll_seconds))
        loop = asyncio.get_running_loop()
        at = loop.time() + delay
        if self._timer is None or at < self._timer.when():
            self._disarm_timer()
            self._timer = loop.call_at(at, self._on_timer)
        # Else it rings too soon, and is set anew then: cheaper than to set it in every turn.

    def _disarm_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _on_timer(self) -> None:
        self._timer = None
        self.tick()

    # ---- trouble ---------------------------------------------------------------------------

    def _fail_turn(self, calls: list[Call], error: BaseException) -> None:
        if isinstance(error, StaleEpoch):
            self._give_up(calls, error)
        else:
            self.start_over(calls, error)

    def start_over(self, calls: Sequence[Call], error: BaseException) -> None:
        """Throw the machine away, tell these and everybody else so, and load the store anew."""
        self._machine = None
        self._parts.on_trouble("a turn failed; its callers were told so", error)
        unavailable = SchedulerUnavailable(f"nothing was saved: {error}")
        fail(calls, unavailable)
        self._lose(unavailable)
        if not self._stopped:
            self.start()

    def _give_up(self, calls: Sequence[Call], error: StaleEpoch) -> None:
        self._stopped = True
        unavailable = SchedulerUnavailable(str(error))
        fail(calls, unavailable)
        self._lose(unavailable)
        self._parts.on_trouble("another scheduler has taken over", error)
        self._parts.on_dethroned()

    def _lose(self, error: SchedulerUnavailable) -> None:
        self._machine = None
        under_way, self._under_way = self._under_way, []
        for turn in under_way:
            fail(turn.calls, error)
        fail(self._inbox.take(), error)
        self._watcher.lost(error)
        self._wake_settling()

    def _wake_settling(self) -> None:
        waiting, self._settling = self._settling, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    def _start_over_if_away(self, store: Store) -> None:
        """After a question that failed: no turn may come that would find out."""
        try:
            store.check_writable()
        except StoreError as error:
            self._fail_turn(self._inbox.take(), error)
