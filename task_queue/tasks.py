"""`@task`: what makes a function a task, and the registry that finds it again by name."""

import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any, Generic, Literal, ParamSpec, TypeVar, overload

from msgspec import Struct

from task_queue.core.status import PRIORITY_DEFAULT, PRIORITY_MAX, PRIORITY_MIN
from task_queue.errors import TaskDefinitionError
from task_queue.queue_name import queue_name_fault

P = ParamSpec("P")
R = TypeVar("R")

#: Names that `Client.submit` takes for itself; a task's parameter may not have one of them.
SUBMIT_OPTIONS = (
    "queue", "priority", "delay_seconds", "run_at", "timeout_seconds", "max_retries",
    "expires_at", "idempotency_key", "tags",
)  # fmt: skip

DEFAULT_QUEUE = "default"


#: Options of `TaskOptions` in seconds. JSON would carry NaN and infinity as null.
_FLOAT_OPTIONS = (
    "retry_base_seconds", "retry_cap_seconds", "timeout_seconds", "result_ttl_seconds",
)  # fmt: skip


class TaskOptions(Struct, frozen=True, kw_only=True):
    """How a task is run unless a submit says otherwise."""

    queue: str = DEFAULT_QUEUE
    priority: int = PRIORITY_DEFAULT
    max_retries: int = 3
    retry_base_seconds: float = 1.0
    retry_cap_seconds: float = 300.0
    timeout_seconds: float | None = None  #: None: no limit
    result_ttl_seconds: float = 86_400.0
    executor: Literal["process", "async"] = "process"

    def __post_init__(self) -> None:
        for name in _FLOAT_OPTIONS:
            _check_finite(name, getattr(self, name))
        queue_fault = queue_name_fault(self.queue)
        checks: Iterable[tuple[bool, str]] = (
            (queue_fault is None, f"queue: {queue_fault}"),
            (PRIORITY_MIN <= self.priority <= PRIORITY_MAX, f"priority {self.priority}: give 0..9"),
            (self.max_retries >= 0, f"max_retries {self.max_retries}: give 0 or more"),
            (self.retry_base_seconds > 0, "retry_base_seconds must be above 0"),
            (self.retry_cap_seconds >= self.retry_base_seconds,
             "retry_cap_seconds must not be below retry_base_seconds"),
            (self.timeout_seconds is None or self.timeout_seconds > 0,
             f"timeout_seconds {self.timeout_seconds}: give a number above 0, or None"),
            (self.result_ttl_seconds > 0, "result_ttl_seconds must be above 0"),
        )  # fmt: skip
        for holds, complaint in checks:
            if not holds:
                raise TaskDefinitionError(complaint)


def _check_finite(name: str, value: object) -> None:
    if name == "timeout_seconds" and value is None:
        return
    if not isinstance(value, int) and not (isinstance(value, float) and math.isfinite(value)):
        never = ", or None for no limit" if name == "timeout_seconds" else ""
        raise TaskDefinitionError(
            f"{name} {value!r}: give a finite number of seconds, such as 30{never}"
        )


class Parameter(Struct, frozen=True):
    """One parameter of a task, as the API checks it."""

    name: str
    kind: Literal["positional_only", "positional", "var_positional", "keyword", "var_keyword"]
    required: bool
    #: JSON types that the annotation allows ("integer", "string", ...); empty: anything.
    types: tuple[str, ...] = ()


class TaskType(Struct, frozen=True):
    """A registered task without its code: what travels to the API."""

    name: str
    parameters: tuple[Parameter, ...]
    options: TaskOptions
    doc: str = ""  #: first line of the docstring
    signature: str = ""


class TaskFunction(Generic[P, R]):
    """A function that can be submitted. Calling it runs it here and now."""

    def __init__(
        self,
        function: Callable[P, R],
        name: str,
        options: TaskOptions,
        retry_on: tuple[type[BaseException], ...] = (Exception,),
        never_retry_on: tuple[type[BaseException], ...] = (),
        overrides: dict[str, Any] | None = None,
    ) -> None:
        self.function = function
        self.name = name
        self.task_options = options
        self.retry_on = retry_on
        self.never_retry_on = never_retry_on
        #: Submit options set with `options`.
        self.overrides: dict[str, Any] = overrides or {}
        self.__doc__ = function.__doc__
        self.__wrapped__ = function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<task {self.name}>"

    def options(self, **overrides: Any) -> "TaskFunction[P, R]":
        """The same task with submit options, so that the call itself stays fully typed:
        ``client.submit(thumbnail.options(priority=8), "cat.png")``.

        Raises:
            TaskDefinitionError: an option that submit does not have.
        """
        for name in overrides:
            if name not in SUBMIT_OPTIONS:
                raise TaskDefinitionError(
                    f"'{name}' is not a submit option: use {', '.join(SUBMIT_OPTIONS)}"
                )
        return TaskFunction(
            self.function, self.name, self.task_options, self.retry_on, self.never_retry_on,
            {**self.overrides, **overrides},
        )  # fmt: skip

    def is_retryable(self, error: BaseException) -> bool:
        """Whether an attempt that ended with `error` may be tried again."""
        return isinstance(error, self.retry_on) and not isinstance(error, self.never_retry_on)

    def task_type(self) -> TaskType:
        """What the API needs to know to check a submit."""
        signature = _signature(self.function)
        doc = (inspect.getdoc(self.function) or "").partition("\n")[0]
        return TaskType(
            self.name,
            tuple(_parameter(p) for p in signature.parameters.values()),
            self.task_options,
            doc,
            f"{self.name}{signature}",
        )


class TaskRegistry:
    """Tasks by name."""

    def __init__(self) -> None:
        self._tasks: dict[str, TaskFunction[Any, Any]] = {}

    def add(self, task_function: TaskFunction[Any, Any]) -> None:
        """Register a task.

        Raises:
            TaskDefinitionError: another function has the name already.
        """
        known = self._tasks.get(task_function.name)
        if known is not None and not _same_code(known.function, task_function.function):
            raise TaskDefinitionError(
                f"two functions are called '{task_function.name}': {_place(known.function)} and "
                f"{_place(task_function.function)}; give one of them @task(name=...)"
            )
        self._tasks[task_function.name] = task_function

    def get(self, name: str) -> TaskFunction[Any, Any] | None:
        return self._tasks.get(name)

    def task_types(self) -> list[TaskType]:
        """All registered tasks, by name."""
        return [self._tasks[name].task_type() for name in sorted(self._tasks)]


#: Where `@task` registers. The library's only module-level state.
REGISTRY = TaskRegistry()


@overload
def task(function: Callable[P, R], /) -> TaskFunction[P, R]: ...
@overload
def task(
    *,
    name: str | None = None,
    queue: str = DEFAULT_QUEUE,
    priority: int = PRIORITY_DEFAULT,
    max_retries: int = 3,
    retry_base_seconds: float = 1.0,
    retry_cap_seconds: float = 300.0,
    timeout_seconds: float | None = None,
    result_ttl_seconds: float = 86_400.0,
    retry_on: tuple[type[BaseException], ...] = (Exception,),
    never_retry_on: tuple[type[BaseException], ...] = (),
    executor: Literal["process", "async"] | None = None,
) -> Callable[[Callable[P, R]], TaskFunction[P, R]]: ...
def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    retry_on: tuple[type[BaseException], ...] = (Exception,),
    never_retry_on: tuple[type[BaseException], ...] = (),
    executor: Literal["process", "async"] | None = None,
    **options: Any,
) -> Any:
    """Make a function a task.

    Args:
        name: how it is submitted; `module.function` unless given.
        queue, priority (0..9, 9 first), timeout_seconds: defaults that a submit may change.
        max_retries: further attempts after a failed one; the wait before the n-th is between half
            of and the whole of ``min(retry_cap_seconds, retry_base_seconds * 2 ** (n - 1))``.
        retry_on, never_retry_on: which exceptions are tried again.
        result_ttl_seconds: how long a result is kept.
        executor: "process" (default) or, for coroutine functions (default there), "async".

    Raises:
        TaskDefinitionError: an option out of range, a reserved parameter name, a name taken twice.
    """

    def register(decorated: Callable[..., Any]) -> TaskFunction[Any, Any]:
        is_async = inspect.iscoroutinefunction(decorated)
        kind = executor or ("async" if is_async else "process")
        full_name = name or f"{decorated.__module__}.{decorated.__qualname__}"
        _check_function(decorated, full_name, is_async, kind)
        made = TaskFunction(
            decorated, full_name, TaskOptions(executor=kind, **options), retry_on, never_retry_on
        )
        REGISTRY.add(made)
        return made

    return register if function is None else register(function)


def _check_function(function: Callable[..., Any], name: str, is_async: bool, executor: str) -> None:
    if "<locals>" in name or "<lambda>" in name:
        raise TaskDefinitionError(
            f"{name} is defined inside a function, where a worker cannot find it: "
            "move it to the top of a module"
        )
    if executor == "async" and not is_async:
        raise TaskDefinitionError(f'{name} is not a coroutine function: executor="async" needs one')
    if executor == "process" and is_async:
        raise TaskDefinitionError(f'{name} is a coroutine function: leave executor="async"')
    for parameter in inspect.signature(function).parameters:
        if parameter in SUBMIT_OPTIONS:
            raise TaskDefinitionError(
                f"{name} has a parameter '{parameter}', which submit takes for itself: rename it"
            )


_KINDS: dict[Any, Any] = {
    inspect.Parameter.POSITIONAL_ONLY: "positional_only",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "positional",
    inspect.Parameter.VAR_POSITIONAL: "var_positional",
    inspect.Parameter.KEYWORD_ONLY: "keyword",
    inspect.Parameter.VAR_KEYWORD: "var_keyword",
}

_JSON_TYPES: dict[Any, tuple[str, ...]] = {
    bool: ("boolean",),
    int: ("integer",),
    float: ("number", "integer"),
    str: ("string",),
    list: ("array",),
    tuple: ("array",),
    dict: ("object",),
    None: ("null",),
    type(None): ("null",),
}


def _parameter(parameter: inspect.Parameter) -> Parameter:
    kind = _KINDS[parameter.kind]
    required = parameter.default is inspect.Parameter.empty and not kind.startswith("var_")
    return Parameter(parameter.name, kind, required, _json_types(parameter.annotation))


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    """The signature, with annotations evaluated where their names can be found."""
    try:
        return inspect.signature(function, eval_str=True)
    except (NameError, AttributeError, TypeError):  # names that exist for type checkers only
        return inspect.signature(function)


def _json_types(annotation: Any) -> tuple[str, ...]:
    """The JSON types that an annotation allows; empty where we cannot tell."""
    if isinstance(annotation, type | None) and annotation in _JSON_TYPES:
        return _JSON_TYPES[annotation]
    origin = getattr(annotation, "__origin__", None)
    if origin is not None and origin in _JSON_TYPES:
        return _JSON_TYPES[origin]
    members = getattr(annotation, "__args__", ())
    if type(annotation).__name__ in ("UnionType", "_UnionGenericAlias") and members:
        parts = [_json_types(member) for member in members]
        return tuple(dict.fromkeys(t for part in parts for t in part)) if all(parts) else ()
    return ()


def _same_code(one: Callable[..., Any], other: Callable[..., Any]) -> bool:
    """Whether two functions are the same source, as when a module is imported a second time."""
    return _place(one) == _place(other)


def _place(function: Callable[..., Any]) -> str:
    code = function.__code__
    return f"{code.co_filename}:{code.co_firstlineno}"
