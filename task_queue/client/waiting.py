"""Waiting for tasks to end: one of them, or many, with a time-out that says where they are.

Plans and bookkeeping that both clients share. `PendingTasks` decides what to ask; this module adds
the deadline, and hands what comes back to the handles that wait for it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from msgspec.structs import replace

from task_queue.client.endpoints import Endpoints
from task_queue.client.http import Pause, Plan
from task_queue.client.outcome import Outcome
from task_queue.client.pending_tasks import PendingTasks
from task_queue.client.submission import batches
from task_queue.clock import Clock
from task_queue.ids import new_task_id
from task_queue.wire import SubmitRequest

#: A server that does not wait as it was asked to is not asked more often than this.
_LEAST_WAIT_SECONDS = 0.1


class Settles(Protocol):
    """A handle, as far as waiting is concerned."""

    @property
    def task_id(self) -> str:
        """The task it stands for."""

    @property
    def name(self) -> str:
        """The task's function; empty if it is not known."""

    @property
    def outcome(self) -> Outcome | None:
        """How the task ended, if that is known here."""

    def settle(self, outcome: Outcome) -> None:
        """Remember how the task ended."""


H = TypeVar("H", bound=Settles)


class WaitList(Generic[H]):
    """Handles whose tasks are awaited. Several may stand for one task, by an idempotency key."""

    def __init__(self, handles: Iterable[H], now: float, timeout: float | None) -> None:
        self._known: list[H] = []
        self._waiting: dict[str, list[H]] = {}
        for handle in handles:
            if handle.outcome is not None:
                self._known.append(handle)
            else:
                self._waiting.setdefault(handle.task_id, []).append(handle)
        self.pending = PendingTasks(self._waiting, now, timeout)

    def known(self) -> list[H]:
        """The handles that need no waiting."""
        return self._known

    def settle(self, outcomes: list[Outcome]) -> Iterator[H]:
        """The handles of these tasks, which now know how they ended."""
        for outcome in outcomes:
            for handle in self._waiting.pop(outcome.task_id, ()):
                handle.settle(outcome)
                yield handle


class Waiting:
    """Plans that end when tasks do."""

    def __init__(self, endpoints: Endpoints, clock: Clock) -> None:
        self._endpoints = endpoints
        self._clock = clock

    def wait_list(self, handles: Iterable[H], timeout: float | None) -> WaitList[H]:
        """A list whose time-out, in seconds, starts now."""
        return WaitList(handles, self._clock.monotonic(), timeout)

    def some(self, pending: PendingTasks) -> Plan[list[Outcome]]:
        """At least one more outcome. There must be pending tasks.

        Raises:
            TimeoutError: the time is up; says how many are not over, and where the first is.
        """
        while (ask := pending.next_ask(self._clock.monotonic())) is not None:
            if ask.pause_seconds > 0:
                yield Pause(ask.pause_seconds)
            asked_at = self._clock.monotonic()
            answer = yield from self._endpoints.outcomes(ask.task_ids, ask.wait_seconds)
            pending.take(ask, answer)
            if answer.results:
                return answer.results
            least = min(ask.wait_seconds, _LEAST_WAIT_SECONDS)
            if self._clock.monotonic() - asked_at < least:
                yield Pause(least)
        raise (yield from self._timeout_error(pending))

    def one(self, task_id: str, timeout: float | None) -> Plan[Outcome]:
        """How one task ended.

        Raises:
            TimeoutError: it is not over after `timeout` seconds; names its status.
        """
        pending = PendingTasks([task_id], self._clock.monotonic(), timeout)
        return (yield from self.some(pending))[0]

    def run(self, request: SubmitRequest) -> Plan[Outcome]:
        """Submit a task and wait for its end, in one request unless that takes long.

        It gets an idempotency key if it has none: a request that waits is cut off more easily than
        one that does not, and with a key it can be sent again.
        """
        if request.idempotency_key is None:
            key = f"run-{new_task_id(self._clock.now())}"
            request = replace(request, idempotency_key=key)
        outcome = yield from self._endpoints.run(request)
        if not outcome.over:
            outcome = yield from self.one(outcome.task_id, None)
        return outcome

    def submit_all(self, requests: Sequence[SubmitRequest]) -> Plan[list[str]]:
        """Submit in batches; the ids in order. An error says how many were accepted before it."""
        task_ids: list[str] = []
        try:
            for batch in batches(requests):
                task_ids += yield from self._endpoints.submit_batch(batch)
        except BaseException as error:
            if task_ids:
                error.add_note(
                    f"the first {len(task_ids):,} tasks were accepted before that, from "
                    f"{task_ids[0]} to {task_ids[-1]}; they go on in the queue"
                )
            raise
        return task_ids

    def _timeout_error(self, pending: PendingTasks) -> Plan[TimeoutError]:
        oldest = pending.oldest()
        status = (yield from self._endpoints.task(oldest)).status
        after = f"after {pending.timeout:g} s"
        if pending.total == 1:
            return TimeoutError(f"task {oldest} is {status}, not over {after}")
        return TimeoutError(
            f"{len(pending):,} of {pending.total:,} tasks are not over {after}; "
            f"the first of them, {oldest}, is {status}"
        )
