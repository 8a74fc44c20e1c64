"""Lays TASK_QUEUE_<SECTION>__<FIELD> variables over what the file says.

A variable is written as the value would be in the file, except that text needs no quotes there:
``TASK_QUEUE_HTTP__PORT=8001``, ``TASK_QUEUE_POOLS__DEFAULT__QUEUES='[images, mail]'``. A pool's
hyphens become underscores, which its name cannot have. Tracing has the shorter names of the
monitoring guide as well. Whether a value is allowed is decided
afterwards, by the same rules as for the file.
"""

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

from task_queue.errors import ConfigError
from task_queue.settings import keys
from task_queue.settings.document import KeyPath, read_value
from task_queue.settings.settings import Settings

PREFIX = "TASK_QUEUE_"

#: They tell the client where the queue is, and are no settings.
OF_THE_CLIENT = frozenset({"TASK_QUEUE_URL", "TASK_QUEUE_API_KEY"})

#: Names of the monitoring guide.
_SHORT = {
    name: PREFIX + name.replace("TRACING_", "TRACING__", 1)
    for name in ("TRACING_ENABLED", "TRACING_ENDPOINT", "TRACING_SAMPLE_RATE")
}


class Overlaid(NamedTuple):
    """The file's values with those of the environment."""

    values: dict[str, Any]
    variables: Mapping[KeyPath, str]  #: which keys came from which variable
    complaints: list[tuple[str, str]]  #: variable and what is wrong with it


class _BadVariable(Exception):
    """A variable leads nowhere or has no value."""


def overlay(values: Mapping[str, Any], environ: Mapping[str, str]) -> Overlaid:
    """A copy of `values` in which the variables have replaced what they name."""
    result: dict[str, Any] = copy.deepcopy(dict(values))
    variables: dict[KeyPath, str] = {}
    complaints: list[tuple[str, str]] = []
    # Sorted, so that TASK_QUEUE_POOLS__A__ENV comes before TASK_QUEUE_POOLS__A__ENV__NAME.
    for variable in sorted(environ):
        name = _SHORT.get(variable, variable)
        if not name.startswith(PREFIX) or name in OF_THE_CLIENT:
            continue
        try:
            path, kind = _target(name, result)
            if path in variables:
                raise _BadVariable(f"{variables[path]} sets the same: leave one of them out")
            _put(result, path, _value(environ[variable], kind))
        except (_BadVariable, ConfigError) as error:
            complaints.append((variable, str(error)))
        else:
            variables[path] = variable
    return Overlaid(result, variables, complaints)


def _target(variable: str, values: Mapping[str, Any]) -> tuple[tuple[str, ...], keys.Kind]:
    """The key that a variable names, and what kind of value it has."""
    path: tuple[str, ...] = ()
    kind: keys.Kind = Settings
    here: Any = values
    rest = variable.removeprefix(PREFIX)
    while rest:
        segment, _, remainder = rest.partition("__")
        if keys.has_free_keys(kind) and not keys.is_section(kind):
            segment, remainder = rest, ""  # a name of the operator's, spelled as it is
        else:
            segment = _known_key(segment, kind, here)
        onward = keys.step(kind, segment)
        if onward is None:
            raise _BadVariable("'" + ".".join(path) + "' has no keys: end the name there")
        kind = onward
        here = here.get(segment) if isinstance(here, dict) else None
        path, rest = (*path, segment), remainder
    if keys.is_section(kind):
        raise _BadVariable(
            f"names a section, not a value: add the rest, such as {variable.rstrip('_')}__NAME"
        )
    return path, kind


def _known_key(segment: str, kind: keys.Kind, here: Any) -> str:
    """The key that a segment stands for, if `kind` has it; pools must be in the file."""
    if keys.has_free_keys(kind):
        key, known = segment.lower().replace("_", "-"), list(here) if isinstance(here, dict) else []
    else:
        key, known = segment.lower(), keys.field_names(kind)
    if key not in known and known:
        raise _BadVariable(f"'{key}' is {keys.unknown(key, known)}")
    if key not in known and keys.has_free_keys(kind):
        raise _BadVariable(f"'{key}' is not in the file: a variable cannot add it")
    return key


def _value(text: str, kind: keys.Kind) -> Any:
    if keys.is_text(kind):
        return None if text == "null" else text
    return read_value(text)


def _put(values: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        inner = values.setdefault(key, {})
        if inner is None:  # "http:" with nothing below it
            inner = values[key] = {}
        if not isinstance(inner, dict):
            raise _BadVariable(f"cannot be set: '{key}' is not a mapping in the file")
        values = inner
    values[path[-1]] = value
