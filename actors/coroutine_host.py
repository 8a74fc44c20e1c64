"""A child that runs coroutine tasks, many at once, on one event loop.

A task is stopped by cancelling its coroutine. If that has no effect within the grace time, the loop
is blocked or the coroutine swallows the cancellation: then the process is killed, and what else
ran in it is given back, for it is not to blame.

Known limit: which coroutine blocks the loop cannot be seen from outside. If it has no timeout
of its own, the first to run into one is reported for it.
"""

from msgspec import Struct, field
from msgspec.structs import replace

from actors.executor_buffer import Kind
from actors.executor_endings import CANCELLED, INTERRUPTED, Ending, died, stopped, timed_out
from actors.executor_host import STUCK_SECONDS, Aftermath
from actors.executor_process import ExecutorProcess
from task_queue.core.status import Outcome
from task_queue.core.task import Lease, Report
from task_queue.executor.frames import CancelAttempt, RunLeases


class _Flight(Struct):
    """A coroutine task that runs."""

    lease: Lease
    since: float
    ending: Ending | None = None
    kill_at: float = 0.0  #: if it has an ending
    printed: list[str] = field(default_factory=list)


class CoroutineHost:
    """A Host for the "async" executor."""

    def __init__(self, process: ExecutorProcess, kill_grace_seconds: float) -> None:
        self.kind: Kind = "async"
        self.process = process
        self.ready = False
        self.finished = 0
        self._kill_grace_seconds = kill_grace_seconds
        self._flights: dict[tuple[str, int], _Flight] = {}

    @property
    def load(self) -> int:
        return len(self._flights)

    @property
    def slots_used(self) -> int:
        return len(self._flights)

    def send(self, leases: list[Lease], now: float) -> None:
        for lease in leases:
            self._flights[lease.task_id, lease.attempt] = _Flight(lease, now)
        self.process.send(RunLeases(0, leases))

    def settle(  # one signature for all hosts
        self,
        report: Report,
        now: float,  # noqa: ARG002
    ) -> tuple[Lease, Report] | None:
        flight = self._flights.pop((report.task_id, report.attempt), None)
        if flight is None:
            return None
        self.finished += 1
        report.logs = "".join(flight.printed) + report.logs
        ending = flight.ending
        if ending is not None and report.outcome is not Outcome.SUCCEEDED:
            report = replace(report, outcome=ending.outcome, error=ending.error, retryable=True)
        return flight.lease, report

    def heard(self, task_id: str, attempt: int, text: str) -> None:
        flight = self._flights.get((task_id, attempt))
        if flight is not None:
            flight.printed.append(text)

    def stop(self, task_id: str, attempt: int, now: float) -> list[Lease] | None:
        flight = self._flights.get((task_id, attempt))
        if flight is None:
            return None
        self._stop(flight, CANCELLED, now)
        return []

    def give_back(self) -> list[Lease]:
        """Nothing: whatever was sent has started."""
        return []

    def check(self, now: float) -> list[Lease]:
        self.process.output.trim()
        for flight in self._flights.values():
            timeout = flight.lease.timeout_seconds
            if flight.ending is not None:
                if now >= flight.kill_at:
                    self.process.kill()
                    break
            elif timeout is not None and now - flight.since >= timeout:
                self._stop(flight, timed_out(flight.lease), now)
        return []

    def stuck(self, now: float) -> list[tuple[Lease, float]]:
        ages = ((flight.lease, now - flight.since) for flight in self._flights.values())
        return [(lease, age) for lease, age in ages if age >= STUCK_SECONDS]

    def bury(self, cause: str, now: float, wall: float) -> Aftermath:
        others = INTERRUPTED if self.process.killed else died(f"{cause}{self._shared()}")
        crash = "" if self.process.killed else self.process.output.read()
        reports = []
        for flight in self._flights.values():
            elapsed = now - flight.since
            ending = flight.ending or others
            logs = "".join(flight.printed) + crash
            reports.append(stopped(flight.lease, ending, wall - elapsed, elapsed, logs))
        self._flights.clear()
        return Aftermath(reports, [])

    def _shared(self) -> str:
        more = len(self._flights) - 1
        return f"; {more} other coroutine tasks ran in it" if more > 0 else ""

    def _stop(self, flight: _Flight, ending: Ending, now: float) -> None:
        if flight.ending is None:
            flight.ending = ending
            flight.kill_at = now + self._kill_grace_seconds
            self.process.send(CancelAttempt(flight.lease.task_id, flight.lease.attempt))
