"""One attempt, step by step: find the task, read its arguments, call it, write its result.

Every step can only end in a `Verdict`; nothing a task does may raise out of here. The call itself
is not made here, because a function is called and a coroutine is awaited.
"""

import difflib
import inspect
import math
from collections.abc import Callable
from types import TracebackType
from typing import Any

import msgspec
from msgspec import Struct

from task_queue.codec import to_json
from task_queue.core.status import Outcome
from task_queue.core.task import Lease, TaskError
from task_queue.errors import Cancel, NotJsonError, Retry
from task_queue.executor.failure import describe_failure, message_of, storable
from task_queue.tasks import TaskFunction, TaskRegistry


class Arguments(Struct):
    """How arguments are written in a lease."""

    args: list[Any] = []
    kwargs: dict[str, Any] = {}


class Verdict(Struct, gc=False):
    """How an attempt ended, without when and where."""

    outcome: Outcome
    result: bytes | None = None
    error: TaskError | None = None
    retryable: bool = True
    retry_after_seconds: float | None = None


class Call(Struct):
    """A task found, with its arguments."""

    task: TaskFunction[..., Any]
    function: Callable[..., Any]
    args: list[Any]
    kwargs: dict[str, Any]


_ARGUMENTS = msgspec.json.Decoder(Arguments)
#: As the API writes a call without arguments. Calls share them: a call hands its function copies.
_NONE_WRITTEN = b'{"args":[],"kwargs":{}}'
_NONE = Arguments()


def prepare(lease: Lease, registry: TaskRegistry) -> Call | Verdict:
    """The call that `lease` asks for, or why it cannot be made."""
    task = registry.get(lease.name)
    if task is None:
        return _refusal("UnknownTask", _unknown(lease.name, registry))
    try:
        written = lease.arguments
        arguments = _NONE if written == _NONE_WRITTEN else _ARGUMENTS.decode(written)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _refusal("TaskArgumentsError", f"the arguments of {lease.name}: {error}")
    return Call(task, task.function, arguments.args, arguments.kwargs)


def returned(value: Any, result_cap_bytes: int) -> Verdict:
    """The verdict on a task that returned `value`."""
    try:
        result = to_json(value, "result")
    except NotJsonError as error:
        return _refusal("NotJsonError", str(error))
    if len(result) > result_cap_bytes:
        return _refusal(
            "ResultTooLarge",
            f"result has {len(result)} bytes as JSON and the limit is {result_cap_bytes}: write "
            "it to a file or an object store and return where it is, or raise "
            "limits.max_result_bytes",
        )
    return Verdict(Outcome.SUCCEEDED, result)


def raised(error: BaseException, call: Call) -> Verdict:
    """The verdict on a task that raised `error`."""
    if isinstance(error, Retry):
        return _retry(error)
    if isinstance(error, Cancel):
        reason = storable(str(error.reason)) or "the task asked not to be run again"
        return _refusal("Cancel", reason)
    if isinstance(error, TypeError):
        wrong = _wrong_arguments(error, call)
        if wrong is not None:
            return _refusal("TaskArgumentsError", wrong)
    return Verdict(
        Outcome.FAILED, error=describe_failure(error), retryable=call.task.is_retryable(error)
    )


def _retry(error: Retry) -> Verdict:
    reason = storable(str(error.reason)) or "the task asked to be run again"
    after = error.after
    if after is not None and not (
        isinstance(after, int | float) and math.isfinite(after) and after >= 0
    ):
        reason += f"; Retry(after={after!r}) was ignored: give seconds, 0 or more"
        after = None
    return Verdict(Outcome.FAILED, error=TaskError("Retry", reason), retry_after_seconds=after)


def _refusal(error_type: str, message: str) -> Verdict:
    """A failure that another attempt would only repeat."""
    return Verdict(Outcome.FAILED, error=TaskError(error_type, message), retryable=False)


def _unknown(name: str, registry: TaskRegistry) -> str:
    known = [task_type.name for task_type in registry.task_types()]
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    hint = f"did you mean '{nearest[0]}'? " if nearest else ""
    return (
        f"no task is called '{name}' on this worker: {hint}List the module that defines it in "
        "the worker's task_modules"
    )


def _wrong_arguments(error: TypeError, call: Call) -> str | None:
    """What is wrong with the arguments, or None if the task's own code raised the error."""
    code = getattr(inspect.unwrap(call.function), "__code__", None)
    if _entered(code, error.__traceback__):
        return None
    try:
        inspect.signature(call.function).bind(*call.args, **call.kwargs)
    except TypeError as mismatch:
        return f"{call.task.name}{inspect.signature(call.function)}: {message_of(mismatch)}"
    return None


def _entered(code: object, trace: TracebackType | None) -> bool:
    while trace is not None:
        if trace.tb_frame.f_code is code:
            return True
        trace = trace.tb_next
    return False
