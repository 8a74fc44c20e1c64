"""From a SubmitRequest to the TaskSpec that the scheduler gets: look-up, defaults, checks.

Every fault is found here, before the scheduler hears of the task, and told with its field and its
cure. Arguments go on as the JSON bytes that they came as.
"""

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus

import msgspec
from msgspec import Raw, Struct

from serve_app.catalogue_source import CatalogueSource
from serve_app.complaint import MOST_COMPLAINTS, Complaint, problem_of
from serve_app.destinations import Destination, Destinations
from serve_app.instants import instant
from task_queue.clock import Clock
from task_queue.core.spec_runs import SpecRun, SpecRuns
from task_queue.core.task import TaskSpec
from task_queue.ids import new_task_id, new_task_ids
from task_queue.requested_spec import requested_spec
from task_queue.settings import LimitSettings
from task_queue.wire import SubmitRequest

#: An expiry further ahead is a slip of the pen. Seconds.
_EXPIRY_SECONDS_MAX = 100 * 365 * 86_400.0
_TASKS_AT_A_STRETCH = 500
_decode = msgspec.json.Decoder().decode
_NO_ARGUMENTS = b'{"args":[],"kwargs":{}}'


class Origin(Struct, frozen=True):
    """Where a submission comes from, as stored with its tasks."""

    request_id: str
    traceparent: str | None = None


class _When(Struct, frozen=True):
    run_at: float | None
    expires_at: float | None


#: Of most tasks.
_AT_ONCE = _When(None, None)


class Submission:
    """Makes specs. Looks names up in the catalogue; touches nothing else."""

    def __init__(self, catalogue: CatalogueSource, limits: LimitSettings, clock: Clock) -> None:
        self._destinations = Destinations(catalogue)
        self._limits = limits
        self._clock = clock

    async def spec(self, request: SubmitRequest, origin: Origin) -> TaskSpec:
        """The spec of one task, with a fresh id.

        Raises:
            ApiProblem: 422 or 413, with up to five faults.
        """
        await self._destinations.refresh()
        now = self._clock.now()
        place = await self._destinations.find(request.name, request.queue)
        made = self._made(request, place, new_task_id(now), origin, now)
        if isinstance(made, TaskSpec):
            return made
        raise problem_of(made)

    async def specs(
        self, requests: Sequence[SubmitRequest | Complaint], origin: Origin
    ) -> SpecRuns:
        """The specs of a batch, all or none, letting others have their turn in between.

        Args:
            requests: the tasks; a Complaint stands for one whose JSON is of another shape.

        Raises:
            ApiProblem: 422 or 413, with the positions of the first five faults.
        """
        runs: list[SpecRun] = []
        complaints: list[Complaint] = []
        for begin in range(0, len(requests), _TASKS_AT_A_STRETCH):
            stretch = requests[begin : begin + _TASKS_AT_A_STRETCH]
            complaints += await self._stretch(stretch, begin, origin, runs)
            if len(complaints) >= MOST_COMPLAINTS:
                break
            if len(stretch) == _TASKS_AT_A_STRETCH:
                await asyncio.sleep(0)
        if complaints:
            raise problem_of(complaints)
        return SpecRuns(runs)

    async def _stretch(
        self,
        requests: Sequence[SubmitRequest | Complaint],
        begin: int,
        origin: Origin,
        runs: list[SpecRun],
    ) -> list[Complaint]:
        """Append the specs of a part of a batch, which begins at `begin`; what is wrong with it.

        What can be asked once for all of them is: the time, chance for ids, the catalogue's age.
        """
        await self._destinations.refresh()
        known, find = self._destinations.known, self._destinations.find
        now = self._clock.now()
        task_ids = new_task_ids(now, len(requests))
        complaints: list[Complaint] = []
        good: SubmitRequest | None = None  #: the last one that had no fault
        for position, (request, task_id) in enumerate(zip(requests, task_ids, strict=True), begin):
            if good is not None and request == good:  # most of a batch are the same once more
                runs[-1].more_ids.append(task_id)
                continue
            if isinstance(request, SubmitRequest):
                name, queue = request.name, request.queue
                place = known(name, queue) or await find(name, queue)
                made = self._made(request, place, task_id, origin, now)
                if isinstance(made, TaskSpec):
                    runs.append(SpecRun(made, []))
                    good = request
                    continue
                complaints += [complaint.under(f"tasks[{position}]") for complaint in made]
            else:
                complaints.append(request)
            if len(complaints) >= MOST_COMPLAINTS:
                break
        return complaints

    def _made(
        self,
        request: SubmitRequest,
        place: Destination | Complaint,
        task_id: str,
        origin: Origin,
        now: float,
    ) -> TaskSpec | list[Complaint]:
        """The spec, or what is wrong."""
        if not isinstance(place, Destination):
            return [place]
        args, kwargs, arguments = request.args, request.kwargs, _NO_ARGUMENTS
        complaints = place.checks.complaints(args, kwargs)
        if args or kwargs:
            arguments = _arguments_json(args, kwargs)
            complaints += self._size_complaints(arguments)
        when = self._when(request, now)
        if isinstance(when, _When) and not complaints and not place.complaints:
            return requested_spec(
                request, place.task_type.options, task_id, place.queue, arguments, when.run_at,
                when.expires_at, origin.traceparent, origin.request_id,
            )  # fmt: skip
        return [*complaints, *place.complaints, *(when if isinstance(when, list) else ())]

    def _size_complaints(self, arguments: bytes) -> list[Complaint]:
        most = self._limits.max_argument_bytes
        if len(arguments) > most:
            text = (
                f"{len(arguments):,} bytes of JSON with kwargs, and {most:,} are allowed: keep "
                "large data elsewhere and send a reference, or raise limits.max_argument_bytes"
            )
            return [Complaint("args", text, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)]
        try:
            _decode(arguments)  # as a worker will
        except msgspec.DecodeError as error:  # a number such as 1e999
            text = f"cannot be read ({error}): send such a value as a string"
            return [Complaint("args", text)]
        except RecursionError:
            return [Complaint("args", "is nested too deeply: flatten it")]
        return []

    def _when(self, request: SubmitRequest, now: float) -> _When | list[Complaint]:
        """The times of a request, or what is wrong with them."""
        if request.run_at is None and request.delay_seconds is None and request.expires_at is None:
            return _AT_ONCE
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


def _arguments_json(args: Sequence[Raw], kwargs: Mapping[str, Raw]) -> bytes:
    """The arguments in the one form in which they travel, joined from what the caller wrote."""
    if not kwargs:
        return b'{"args":[%b],"kwargs":{}}' % b",".join(args)
    parts = [b'{"args":[', b",".join(args), b'],"kwargs":{']
    for position, (name, value) in enumerate(kwargs.items()):
        parts += (b"," if position else b"", msgspec.json.encode(name), b":", value)
    parts.append(b"}}")
    return b"".join(parts)
