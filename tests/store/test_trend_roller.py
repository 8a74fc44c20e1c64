"""Adding up changes no answer: trends are the same before, between and after, and cost less."""

import asyncio
import random
from collections.abc import Callable
from typing import TypeVar

import pytest

from task_queue.core.status import Status
from task_queue.core.task import Task, TaskError
from task_queue.store import trends as trends_module
from task_queue.store.ended_sum import LEVELS, EndedSum, EndedTask, Sums
from task_queue.store.memory import MemoryStore
from task_queue.store.protocol import Cursor, Store, StoreError
from task_queue.store.query import Trends
from task_queue.store.trends import read_trends
from task_queue.testing import FakeClock
from task_queue.trend_roller import SETTLE_SECONDS, TrendRoller
from tests.store.databases import NOW, a_task, dead_letter, inserted

T = TypeVar("T")

HOUR = 3_600.0
START = NOW // (4 * HOUR) * (4 * HOUR)  #: where slices of every length begin
_END = START + 28 * HOUR
#: Since, until and length of buckets, as the API asks for them.
_WINDOWS = tuple(
    (_END - seconds, _END, step)
    for seconds, step in (
        (900.0, 60.0), (HOUR, 120.0), (6 * HOUR, 600.0), (24 * HOUR, 1_800.0),
        (168 * HOUR, 4 * HOUR),
    )
)  # fmt: skip
#: Of too long ago for some sums, and of buckets that fit none.
_OTHERS = ((START, START + 900, 60.0), (_END - 3.5, _END + 1, 1.0), (START - 7, _END, HOUR))


class _Scheduler:
    """Asks the store at once, and pauses as it is told."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.slept: list[float] = []
        self.pauses = 1_000_000

    async def between_turns(self, question: Callable[[Store], T]) -> T:
        return question(self.store)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) > self.pauses:
            raise InterruptedError


def _tasks(count: int) -> list[Task]:
    """Most end in the first hours; some of everything."""
    draw = random.Random(3)
    tasks = []
    for seq in range(1, count + 1):
        ended = _END - draw.choice((10, 300, HOUR, 6 * HOUR, 28 * HOUR)) * draw.random()
        run = draw.expovariate(1.0)
        kind = draw.random()
        if kind < 0.7:
            times = {"started_at": ended - run, "submitted_at": ended - run - draw.random()}
            task = a_task(seq, Status.COMPLETED, finished_at=ended, **times)
        elif kind < 0.9:
            error = TaskError(draw.choice(("OSError", "größer")), f"message {seq}")
            task = dead_letter(seq, name=draw.choice("ab"), error=error, finished_at=ended)
        else:
            task = a_task(seq, Status.CANCELLED, finished_at=ended)
        tasks.append(task)
    return tasks


def _all_trends(store: Store) -> list[Trends]:
    return [read_trends(store, *window) for window in (*_WINDOWS, *_OTHERS)]


def _roll(store: Store, now: float) -> int:
    scheduler = _Scheduler(store)
    return asyncio.run(TrendRoller(scheduler, FakeClock(now), scheduler.sleep).roll())


def test_trends_are_the_same_whether_added_up_or_not(store: Store) -> None:
    tasks = _tasks(400)
    store.commit(inserted(*tasks))
    one_by_one = _all_trends(store)
    assert store.summed_until() == 0.0
    for now in (START + 7, START + 20 * HOUR, _END - 2 * HOUR, _END - 100, _END - 1, _END + 60):
        _roll(store, now)
        assert _all_trends(store) == one_by_one
    assert store.summed_until() >= _END
    assert _roll(store, _END + 90) == 0


def test_tasks_that_are_not_added_up_are_read_page_by_page(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.commit(inserted(*_tasks(300)))
    one_by_one = _all_trends(store)
    monkeypatch.setattr(trends_module, "_PAGE", 7)
    assert _all_trends(store) == one_by_one


def test_what_is_added_up_needs_no_tasks(store: Store) -> None:
    store.commit(inserted(*_tasks(300)))
    before = _all_trends(store)
    assert _roll(store, _END + 60) == 300
    while store.prune(_END, _END, 0, 1_000).tasks:
        pass
    assert store.count_ended() == 0
    assert _all_trends(store)[: len(_WINDOWS)] == before[: len(_WINDOWS)]


def test_a_new_scheduler_goes_on_where_the_last_one_was(store: Store) -> None:
    store.commit(inserted(*_tasks(900)))
    one_by_one = _all_trends(store)
    stops = 0
    for _ in range(50):
        scheduler = _Scheduler(store)
        scheduler.pauses = stops % 3  # of its batches, the first of which is a hundred tasks
        try:
            asyncio.run(TrendRoller(scheduler, FakeClock(_END + 60), scheduler.sleep).roll())
        except InterruptedError:
            stops += 1
            assert _all_trends(store) == one_by_one
        else:
            break
    assert stops > 1
    assert _all_trends(store) == one_by_one


def test_what_ended_just_now_waits_for_the_next_time(store: Store) -> None:
    late = a_task(1, Status.COMPLETED, finished_at=START + 11)
    store.commit(inserted(late))
    assert _roll(store, START + 20 + SETTLE_SECONDS - 0.1) == 0
    assert read_trends(store, *_OTHERS[0]).buckets[0].completed == 1
    assert _roll(store, START + 20 + SETTLE_SECONDS) == 1
    assert read_trends(store, *_OTHERS[0]).buckets[0].completed == 1
    assert store.summed_until() == START + 20


def test_sums_are_replaced_and_forgotten_in_time(store: Store) -> None:
    seconds, kept = LEVELS[0]
    first = int(START // seconds)
    store.keep_sums({(seconds, first): EndedSum(1), (seconds, first + 1): EndedSum(2)}, START)
    store.keep_sums({(seconds, first): EndedSum(3)}, START + seconds)
    assert store.sums(seconds, first, first + 9) == {first: EndedSum(3), first + 1: EndedSum(2)}
    assert store.sums(seconds, first, first + 1) == {first: EndedSum(3)}
    assert store.sums(LEVELS[1].seconds, 0, first) == {}
    store.keep_sums({}, START + kept + seconds)
    assert store.sums(seconds, first, first + 9) == {first + 1: EndedSum(2)}


class _FailingStore(MemoryStore):
    """Cannot save sums every other time."""

    calls = 0

    def keep_sums(self, sums: Sums, until: float) -> None:
        self.calls += 1
        if self.calls % 2:
            raise StoreError("away")
        super().keep_sums(sums, until)


def test_a_batch_that_was_not_saved_is_not_counted_twice() -> None:
    store = _FailingStore()
    store.take_over()
    store.commit(inserted(*_tasks(500)))
    one_by_one = _all_trends(store)
    scheduler = _Scheduler(store)
    roller = TrendRoller(scheduler, FakeClock(_END + 60), scheduler.sleep)
    failures = 0
    while True:
        try:
            asyncio.run(roller.roll())
            break
        except StoreError:
            failures += 1
            assert _all_trends(store) == one_by_one
    assert failures
    assert _all_trends(store) == one_by_one


class _SlowStore(MemoryStore):
    """Reading an ending takes its time."""

    def __init__(self, clock: FakeClock, seconds: float) -> None:
        super().__init__()
        self._clock = clock
        self._seconds = seconds
        self.batches: list[int] = []

    def ended(self, after: Cursor, until: float, limit: int) -> list[EndedTask]:
        page = super().ended(after, until, limit)
        self._clock.advance(len(page) * self._seconds)
        self.batches.append(len(page))
        return page


@pytest.mark.parametrize(("ago", "share"), [(30.0, 40), (HOUR, 9)])
@pytest.mark.parametrize(("seconds", "largest"), [(1e-6, 1_600), (4e-5, 50)])
def test_batches_are_small_and_most_of_the_time_is_left_to_the_queue(
    seconds: float, largest: int, ago: float, share: int
) -> None:
    clock = FakeClock(_END)
    store = _SlowStore(clock, seconds)
    store.take_over()
    ends = _END - ago
    store.commit(inserted(*(a_task(n, Status.EXPIRED, finished_at=ends) for n in range(1, 4_001))))
    scheduler = _Scheduler(store)
    assert asyncio.run(TrendRoller(scheduler, clock, scheduler.sleep).roll()) == 4_000
    assert max(store.batches) == largest
    pauses = [max(0.01, share * batch * seconds) for batch in store.batches[:-1]]
    assert scheduler.slept == pytest.approx(pauses, rel=1e-2)


def test_a_turn_may_come_between_adding_up_and_saving() -> None:
    """Each holds up others: so that they wait for one of them only, they are two questions."""
    clock = FakeClock(_END)
    store = _SlowStore(clock, 4e-5)
    store.take_over()
    ended = (a_task(n, Status.EXPIRED, finished_at=_END - HOUR + n) for n in range(1, 401))
    store.commit(inserted(*ended))
    held_up: list[float] = []

    class Watched(_Scheduler):
        async def between_turns(self, question: Callable[[Store], T]) -> T:
            began = clock.monotonic()
            answer = question(self.store)
            held_up.append(clock.monotonic() - began)
            return answer

    save = store.keep_sums

    def slow_save(sums: Sums, until: float) -> None:
        clock.advance(0.002)
        save(sums, until)

    store.keep_sums = slow_save  # type: ignore[method-assign]
    scheduler = Watched(store)
    assert asyncio.run(TrendRoller(scheduler, clock, scheduler.sleep).roll()) == 400
    assert len(held_up) > 8
    assert max(held_up) == pytest.approx(0.002, rel=1e-3)
    assert scheduler.slept == pytest.approx([9 * 0.004] * len(scheduler.slept), rel=1e-2)
