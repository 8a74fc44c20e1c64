"""From a call, `submit(thumbnail, "cat.png", size=64, priority=8)`, to what the API reads.

Here arguments become JSON, submit options are told from arguments, times become text, and many
requests become batches. Nothing here knows how a batch is sent.
"""

import inspect
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any, ParamSpec, TypeVar, overload

from msgspec import Raw

from task_queue.clock import from_rfc3339, to_rfc3339
from task_queue.codec import to_json
from task_queue.tasks import SUBMIT_OPTIONS, TaskFunction
from task_queue.wire import SubmitRequest

P = ParamSpec("P")
R = TypeVar("R")

#: A batch ends at this many tasks, or at this many bytes of arguments if that comes first. A task
#: whose own arguments are larger travels alone.
MAX_BATCH_TASKS = 1_000
MAX_BATCH_BYTES = 4_000_000

_SECONDS_OPTIONS = ("delay_seconds", "timeout_seconds")


@overload
def submit_request(
    function: TaskFunction[P, Any], /, *args: P.args, **kwargs: P.kwargs
) -> SubmitRequest: ...
@overload
def submit_request(function: str, /, *args: Any, **kwargs: Any) -> SubmitRequest: ...
def submit_request(function: Any, /, *args: Any, **kwargs: Any) -> SubmitRequest:
    """One task for `Client.submit_many`, written like `Client.submit`.

    Raises:
        TypeError: `function` is neither a task nor a name.
        NotJsonError: an argument has no JSON form; the message names it.
        ValueError: run_at or expires_at is not a time with a time zone; delay_seconds or
            timeout_seconds is NaN or infinite.
    """
    return _Template(function).request(args, kwargs)


def requests_of(
    function: TaskFunction[..., Any] | str, argument_lists: Iterable[tuple[Any, ...]]
) -> list[SubmitRequest]:
    """One request for each tuple of positional arguments.

    Raises:
        ValueError: the function has an idempotency_key among its options, which would make one
            task of them all.
        TypeError: an item is not a tuple.
    """
    template = _Template(function)
    if template.options.get("idempotency_key") is not None:
        raise ValueError(
            "an idempotency_key would make one task of all these: use submit_many with "
            "submit_request(..., idempotency_key=...) for each"
        )
    return template.requests(argument_lists)


def checked_requests(requests: Iterable[SubmitRequest]) -> list[SubmitRequest]:
    """Requests from a caller, who may have made some without `submit_request`.

    Raises:
        ValueError: an option is NaN or infinite.
    """
    checked = list(requests)
    for request in checked:
        if request.delay_seconds is not None or request.timeout_seconds is not None:
            for name in _SECONDS_OPTIONS:
                check_finite(name, getattr(request, name))
    return checked


def batches(requests: Sequence[SubmitRequest]) -> Iterator[Sequence[SubmitRequest]]:
    """The requests in order, cut into batches that the API takes."""
    begin = 0
    while begin < len(requests):
        batch = requests[begin : begin + MAX_BATCH_TASKS]
        sizes = list(map(_bytes_of, batch))
        if sum(sizes) > MAX_BATCH_BYTES:
            fitting = sum(total <= MAX_BATCH_BYTES for total in accumulate(sizes))
            batch = batch[: max(1, fitting)]
        yield batch
        begin += len(batch)


def check_finite(name: str, value: object) -> None:
    """Refuse what JSON would carry as null, which means that the option was not given.

    Raises:
        ValueError: `value` is NaN or infinite.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(
            f"{name}={value} is not a finite number of seconds: give one such as 30.0, or leave "
            f"{name} out"
        )


def time_text(value: datetime | str, name: str) -> str:
    """A moment as the API writes it; `name` is for the error.

    Raises:
        ValueError: not RFC 3339, or without a time zone.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(
                f"{name}={value!r} has no time zone: use datetime.now(UTC) or the like"
            )
        return to_rfc3339(value.timestamp())
    try:
        from_rfc3339(value)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(
            f"{name}={value!r} is not a time with a time zone: give RFC 3339, such as "
            "2026-01-25T14:00:00Z or 2026-01-25T15:00:00+01:00"
        ) from None
    return value


class _Template:
    """What all submits of one function share: looked up once, however many there are."""

    def __init__(self, function: Any) -> None:
        self.options: dict[str, Any] = {}
        self._places: list[str] = []  #: what an error calls each positional argument
        if isinstance(function, TaskFunction):
            self._name = function.name
            self.options = function.overrides
            self._places = [f"argument '{name}'" for name in _positional(function)]
        elif isinstance(function, str):
            self._name = function
        else:
            raise TypeError(
                f"{function!r} is not a task: decorate it with @task, or give a task's name"
            )

    def request(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> SubmitRequest:
        """The request of one call."""
        options = dict(self.options)
        named: dict[str, Raw] = {}
        for name, value in kwargs.items():
            if name in SUBMIT_OPTIONS:
                options[name] = value
            else:
                named[name] = Raw(to_json(value, f"argument '{name}'"))
        checked = _checked_options(options)
        return SubmitRequest(self._name, self._positional_json(args), named, **checked)

    def requests(self, argument_lists: Iterable[tuple[Any, ...]]) -> list[SubmitRequest]:
        """The requests of many calls without keyword arguments."""
        bare = SubmitRequest(self._name, **_checked_options(self.options))
        # By position, in the order of the record: by name it would cost several times as much.
        rest = [getattr(bare, field) for field in SubmitRequest.__struct_fields__[2:]]
        requests = []
        for position, args in enumerate(argument_lists):
            if not isinstance(args, tuple):
                raise TypeError(
                    f"item {position} is a {type(args).__name__}: give each task's positional "
                    "arguments as a tuple, such as ('cat.png',)"
                )
            json = self._positional_json(args)
            requests.append(SubmitRequest(self._name, json, *rest) if json else bare)
        return requests

    def _positional_json(self, args: tuple[Any, ...]) -> Sequence[Raw]:
        if not args:
            return ()
        places = self._places
        while len(places) < len(args):
            places.append(f"argument {len(places) + 1}")
        return [Raw(to_json(value, place)) for value, place in zip(args, places, strict=False)]


def _checked_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Submit options, with times as text."""
    checked = dict(options)
    for name in ("run_at", "expires_at"):
        if checked.get(name) is not None:
            checked[name] = time_text(checked[name], name)
    for name in _SECONDS_OPTIONS:
        check_finite(name, checked.get(name))
    return checked


def _positional(function: TaskFunction[..., Any]) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function.function).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind in kinds]


def _bytes_of(request: SubmitRequest) -> int:
    if not request.args and not request.kwargs:
        return 0
    return sum(map(_raw_length, request.args)) + sum(map(_raw_length, request.kwargs.values()))


def _raw_length(raw: Raw) -> int:
    return memoryview(raw).nbytes
