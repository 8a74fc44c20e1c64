"""From a SubmitRequest to the TaskSpec that the scheduler gets: look-up, defaults, checks.

Every fault is found here, before the scheduler hears of the task, and told with its field and its
cure. Arguments go on as the JSON bytes that they came as.
"""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus

import msgspec
from msgspec import Raw, Struct

from serve_app.argument_checks import argument_complaints
from serve_app.catalogue import Catalogue
from serve_app.complaint import MOST_COMPLAINTS, Complaint, problem_of
from serve_app.instants import instant
from serve_app.nearest import hint, shown
from task_queue.clock import Clock
from task_queue.core.task import TaskSpec
from task_queue.ids import new_task_id
from task_queue.settings import LimitSettings
from task_queue.tasks import TaskType
from task_queue.wire import SubmitRequest

#: An expiry further ahead is a slip of the pen. Seconds.
_EXPIRY_SECONDS_MAX = 100 * 365 * 86_400.0
_TASKS_AT_A_STRETCH = 500


class Origin(Struct, frozen=True):
    """Where a submission comes from, as stored with its tasks."""

    request_id: str
    traceparent: str | None = None


class _When(Struct, frozen=True):
    run_at: float | None
    expires_at: float | None


class Submission:
    """Makes specs. Looks names up in the catalogue; touches nothing else."""

    def __init__(self, catalogue: Catalogue, limits: LimitSettings, clock: Clock) -> None:
        self._catalogue = catalogue
        self._limits = limits
        self._clock = clock

    def spec(self, request: SubmitRequest, origin: Origin) -> TaskSpec:
        """The spec of one task, with a fresh id.

        Raises:
            ApiProblem: 422 or 413, with up to five faults.
        """
        made = self._made(request, origin)
        if isinstance(made, TaskSpec):
            return made
        raise problem_of(made)

    async def specs(
        self, requests: Sequence[SubmitRequest | Complaint], origin: Origin
    ) -> list[TaskSpec]:
        """The specs of a batch, all or none, letting others have their turn in between.

        Args:
            requests: the tasks; a Complaint stands for one whose JSON is of another shape.

        Raises:
            ApiProblem: 422 or 413, with the positions of the first five faults.
        """
        specs: list[TaskSpec] = []
        complaints: list[Complaint] = []
        for position, request in enumerate(requests):
            if position % _TASKS_AT_A_STRETCH == _TASKS_AT_A_STRETCH - 1:
                await asyncio.sleep(0)
            if isinstance(request, Complaint):
                complaints.append(request)
            elif isinstance(made := self._made(request, origin), TaskSpec):
                specs.append(made)
            else:
                complaints += [complaint.under(f"tasks[{position}]") for complaint in made]
            if len(complaints) >= MOST_COMPLAINTS:
                break
        if complaints:
            raise problem_of(complaints)
        return specs

    def _made(self, request: SubmitRequest, origin: Origin) -> TaskSpec | list[Complaint]:
        """The spec, or what is wrong."""
        task_type = self._catalogue.task_type(request.name)
        if task_type is None:
            return [self._unknown_task(request.name)]
        queue = request.queue or task_type.options.queue
        arguments = _arguments_json(request)
        now = self._clock.now()
        when = self._when(request, now)
        complaints = argument_complaints(task_type, request.args, request.kwargs)
        complaints += self._size_complaints(arguments)
        complaints += self._place_complaints(task_type.name, queue)
        if isinstance(when, list):
            complaints += when
        elif not complaints:
            return _spec(request, task_type, queue, arguments, when, origin, now)
        return complaints

    def _unknown_task(self, name: str) -> Complaint:
        names = [task_type.name for task_type in self._catalogue.task_types()]
        cure = hint(name, names, "tasks")
        return Complaint("name", f"no worker knows a task {shown(name)}; {cure}")

    def _place_complaints(self, name: str, queue: str) -> list[Complaint]:
        complaints = self._misplaced(name, queue)
        if complaints:  # the pool may have been declared a moment ago
            self._catalogue.refresh()
            complaints = self._misplaced(name, queue)
        return complaints

    def _misplaced(self, name: str, queue: str) -> list[Complaint]:
        """Any worker that serves the queue may get the task, so all their pools must have it."""
        pools = self._catalogue.pools_serving(queue)
        if not pools:
            cure = hint(queue, self._catalogue.queues(), "queues")
            return [Complaint("queue", f"no worker pool serves {shown(queue)}; {cure}")]
        without = [pool.name for pool in pools if name not in pool.task_names]
        if not without:
            return []
        having = self._catalogue.pools_with(name)
        queues = sorted({q for p in self._catalogue.pools() if p.name in having for q in p.queues})
        cure = f"queues whose pools have it: {', '.join(queues)}" if queues else "no pool has it"
        text = f"'{queue}' is served by pool {', '.join(without)}, which lacks task {name}; {cure}"
        return [Complaint("queue", text)]

    def _size_complaints(self, arguments: bytes) -> list[Complaint]:
        most = self._limits.max_argument_bytes
        if len(arguments) > most:
            text = (
                f"{len(arguments):,} bytes of JSON with kwargs, and {most:,} are allowed: keep "
                "large data elsewhere and send a reference, or raise limits.max_argument_bytes"
            )
            return [Complaint("args", text, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)]
        try:
            msgspec.json.decode(arguments)  # as a worker will
        except msgspec.DecodeError as error:  # a number such as 1e999
            text = f"cannot be read ({error}): send such a value as a string"
            return [Complaint("args", text)]
        except RecursionError:
            return [Complaint("args", "is nested too deeply: flatten it")]
        return []

    def _when(self, request: SubmitRequest, now: float) -> _When | list[Complaint]:
        """The times of a request, or what is wrong with them."""
        complaints: list[Complaint] = []
        run_at = _moment("run_at", request.run_at, complaints)
        expires_at = _moment("expires_at", request.expires_at, complaints)
        if request.delay_seconds is not None:
            if request.run_at is not None:
                complaints.append(Complaint("run_at", "is given beside delay_seconds: give one"))
            elif request.delay_seconds > 0:
                run_at = now + request.delay_seconds
        if run_at is not None and run_at - now > self._limits.max_delay_seconds:
            field = "run_at" if request.delay_seconds is None else "delay_seconds"
            most = f"{self._limits.max_delay_seconds:g}"
            text = f"lies more than {most} seconds ahead: choose an earlier time"
            complaints.append(Complaint(field, text))
        if expires_at is not None:
            complaints += _expiry_complaints(expires_at, run_at, now)
        return complaints or _When(run_at, expires_at)


def _moment(field: str, text: str | None, complaints: list[Complaint]) -> float | None:
    if text is None:
        return None
    try:
        return instant(text)
    except ValueError as error:
        complaints.append(Complaint(field, str(error)))
        return None


def _expiry_complaints(expires_at: float, run_at: float | None, now: float) -> list[Complaint]:
    if expires_at <= now:
        return [Complaint("expires_at", "lies in the past: the task could never start")]
    if run_at is not None and expires_at <= run_at:
        text = "is not after the time at which the task may start: it could never start"
        return [Complaint("expires_at", text)]
    if expires_at - now > _EXPIRY_SECONDS_MAX:
        return [Complaint("expires_at", "lies more than 100 years ahead: leave it out")]
    return []


def _arguments_json(request: SubmitRequest) -> bytes:
    """The arguments in the one form in which they travel, joined from what the caller wrote."""
    named = [msgspec.json.encode(name) + b":" + value for name, value in _items(request.kwargs)]
    args = b",".join(map(bytes, request.args))
    return b'{"args":[' + args + b'],"kwargs":{' + b",".join(named) + b"}}"


def _items(kwargs: dict[str, Raw]) -> list[tuple[str, bytes]]:
    return [(name, bytes(value)) for name, value in kwargs.items()]


def _spec(
    request: SubmitRequest, task_type: TaskType, queue: str, arguments: bytes, when: _When,
    origin: Origin, now: float,
) -> TaskSpec:  # fmt: skip
    options = task_type.options
    retries, timeout = request.max_retries, request.timeout_seconds
    return TaskSpec(
        id=new_task_id(now),
        name=task_type.name,
        queue=queue,
        priority=options.priority if request.priority is None else request.priority,
        arguments=arguments,
        max_retries=options.max_retries if retries is None else retries,
        retry_base_seconds=options.retry_base_seconds,
        retry_cap_seconds=options.retry_cap_seconds,
        timeout_seconds=options.timeout_seconds if timeout is None else timeout,
        run_at=when.run_at,
        expires_at=when.expires_at,
        result_ttl_seconds=options.result_ttl_seconds,
        idempotency_key=request.idempotency_key,
        tags=tuple(dict.fromkeys(request.tags)),
        traceparent=origin.traceparent,
        request_id=origin.request_id,
    )
