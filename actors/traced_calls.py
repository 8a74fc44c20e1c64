"""The spans `worker:register`, `worker:heartbeat` and `worker:deregister`: a worker's calls to the
scheduler, wrapped, so that the worker knows nothing of them.
"""

from monitoring.spans import Spans, Told
from task_queue.clock import Clock
from task_queue.core.effects import Answer, Grant, Refused
from task_queue.core.events import Event, WorkerDeregistered, WorkerPulled, WorkerRegistered
from task_queue.core.worker import WorkerInfo
from task_queue.scheduler_api import WorkerCalls

#: A busy worker pulls hundreds of times a second, and each pull is a heartbeat.
_HEARTBEAT_SECONDS = 1.0


class TracedCalls:
    """WorkerCalls around the real ones.

    `worker.status` is what the worker knows: a pause is the scheduler's alone.
    """

    def __init__(self, calls: WorkerCalls, spans: Spans, info: WorkerInfo, clock: Clock) -> None:
        self._calls = calls
        self._spans = spans
        self._info = info
        self._clock = clock
        self._status = "active"
        self._heard_at = -_HEARTBEAT_SECONDS

    async def request(self, event: Event) -> Answer:
        begun = self._clock.now()
        answer = await self._calls.request(event)
        error = answer.detail if isinstance(answer, Refused) else None
        if isinstance(event, WorkerRegistered):
            self._tell("worker:register", begun, self._status, error)
        elif isinstance(event, WorkerDeregistered):
            self._tell("worker:deregister", begun, "ended", error)
        return answer

    async def pull(self, event: WorkerPulled) -> Grant:
        begun = self._clock.now()
        grant = await self._calls.pull(event)
        if grant.order == "end":
            self._status = "draining"
        now = self._clock.monotonic()
        if now - self._heard_at >= _HEARTBEAT_SECONDS:
            self._heard_at = now
            place = self._spans.new_trace()
            if place is not None:
                self._spans.tell(place, self._told("worker:heartbeat", begun, self._status, None))
        return grant

    def _tell(self, name: str, begun: float, status: str, error: str | None) -> None:
        """Of what is so rare that it is not sampled."""
        self._spans.tell(self._spans.begin(None), self._told(name, begun, status, error))

    def _told(self, name: str, begun: float, status: str, error: str | None) -> Told:
        attributes = {
            "worker.id": self._info.worker_id,
            "worker.hostname": self._info.hostname,
            "worker.status": status,
            "worker.pool": self._info.pool,
        }
        return Told(
            name=name, begun=begun, ended=self._clock.now(), attributes=attributes, error=error
        )
