"""A child that runs plain functions one after the other: one slot.

Its leases stand in a line; the first one runs, the others were sent along so that the child need
not wait. A stopped task stops the process, so first all that has not started is taken back.
"""

from collections import deque

from actors.executor_buffer import Kind
from actors.executor_endings import CANCELLED, INTERRUPTED, Ending, died, stopped, timed_out
from actors.executor_host import STUCK_SECONDS, Aftermath
from actors.executor_process import ExecutorProcess
from task_queue.core.task import Lease, Report
from task_queue.executor.frames import RunLeases


class ProcessHost:
    """A Host for the "process" executor."""

    def __init__(self, process: ExecutorProcess) -> None:
        self.kind: Kind = "process"
        self.process = process
        self.ready = False
        self.finished = 0
        #: Sent and not ended, in the order of running.
        self.leases: deque[Lease] = deque()
        #: Since when the first one runs. Its predecessor's end, or the sending if there was none.
        self.running_since = 0.0
        #: The attempt for which the process was killed, and why.
        self._doomed: tuple[Lease, Ending] | None = None

    @property
    def load(self) -> int:
        return len(self.leases)

    @property
    def slots_used(self) -> int:
        return 1 if self.leases else 0

    @property
    def doomed(self) -> bool:
        """Whether its process was killed and its end is not told yet."""
        return self._doomed is not None

    def send(self, leases: list[Lease], now: float) -> None:
        if not self.leases:
            self.running_since = now
        self.leases.extend(leases)
        tokens = self.process.tokens
        tokens.give(len(leases))
        self.process.send(RunLeases(tokens.generation, leases))

    def settle(self, report: Report, now: float) -> tuple[Lease, Report] | None:
        leases = self.leases
        if not leases or leases[0].task_id != report.task_id:
            return None
        self.running_since = now
        self.finished += 1
        return leases.popleft(), report

    def heard(self, task_id: str, attempt: int, text: str) -> None:
        """Nothing: its output is in the file."""

    def stop(  # one signature for all hosts
        self,
        task_id: str,
        attempt: int,
        now: float,  # noqa: ARG002
    ) -> list[Lease] | None:
        lease = next(
            (le for le in self.leases if le.task_id == task_id and le.attempt == attempt), None
        )
        if lease is None:
            return None
        returned = self.give_back()
        if lease not in returned:
            self._kill(lease, CANCELLED)
        return returned

    def give_back(self) -> list[Lease]:
        count = self.process.tokens.take_back() if len(self.leases) else 0
        return [self.leases.pop() for _ in range(count)][::-1]

    def check(self, now: float) -> list[Lease]:
        if not self.leases or self._doomed is not None:
            return []
        first = self.leases[0]
        elapsed = now - self.running_since
        if first.timeout_seconds is not None and elapsed >= first.timeout_seconds:
            returned = self.give_back()
            self._kill(first, timed_out(first))
            return returned
        self.process.output.trim()
        if elapsed >= STUCK_SECONDS and len(self.leases) > 1:
            return self.give_back()
        return []

    def stuck(self, now: float) -> list[tuple[Lease, float]]:
        elapsed = now - self.running_since
        return [(self.leases[0], elapsed)] if self.leases and elapsed >= STUCK_SECONDS else []

    def bury(self, cause: str, now: float, wall: float) -> Aftermath:
        returned = self.give_back()
        logs = self.process.output.read() if self.leases else ""
        elapsed = now - self.running_since
        # One at most: the child takes a token only when the task before has been reported.
        reports = [
            stopped(lease, self._ending_of(lease, cause), wall - elapsed, elapsed, logs)
            for lease in self.leases
        ]
        self.leases.clear()
        return Aftermath(reports, returned)

    def _ending_of(self, lease: Lease, cause: str) -> Ending:
        if self._doomed is not None and self._doomed[0] is lease:
            return self._doomed[1]
        # Killed by us, but not because of this one: it began in the moment before.
        return INTERRUPTED if self.process.killed else died(cause)

    def _kill(self, lease: Lease, ending: Ending) -> None:
        if self._doomed is None:
            self._doomed = (lease, ending)
            self.process.kill()
