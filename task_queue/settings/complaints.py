"""Turns pydantic's findings into lines that name place, key, value, and what is allowed.

    configs/local.yaml:12: pools.default.slot: unknown; did you mean 'slots'?
    TASK_QUEUE_HTTP__PORT: http.port: 99999: give 65535 or less

Values that may be secret are never shown. Which values are wrong was decided before.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from task_queue.settings import keys
from task_queue.settings.document import KeyPath
from task_queue.settings.section import Wrong
from task_queue.settings.settings import Settings

#: What is allowed, by pydantic's name for the fault; the braces are filled from its context.
_ALLOWED = {
    "int_type": "give a whole number",
    "float_type": "give a number",
    "bool_type": "give true or false",
    "string_type": "give text",
    "tuple_type": "give a list",
    "dict_type": "give a mapping",
    "model_type": "give a mapping",
    "greater_than": "give a number above {gt}",
    "greater_than_equal": "give {ge} or more",
    "less_than": "give a number below {lt}",
    "less_than_equal": "give {le} or less",
    "finite_number": "give a finite number",
    "literal_error": "give {expected}",
    "string_too_short": "give text that is not empty",
    "too_short": "give at least {min_length}",
}

#: Keys, at any depth, whose values are not for logs.
_SECRET_KEYS = frozenset({"sha256", "api_keys", "env"})
_PASSWORD = re.compile(r"(?<=://).*(?=@)|(?<=password=)[^&\s]*")
_VALUE_CHARACTERS = 80

#: Where a value was written: "configs/local.yaml:12" or the variable's name.
Locate = Callable[[KeyPath], str]


def explain(error: ValidationError, locate: Locate) -> list[str]:
    """One line for each fault, in the order in which they were found."""
    return [line for detail in error.errors() for line in _lines(detail, locate)]


def line_of(path: KeyPath, complaint: str, locate: Locate) -> str:
    """``place: dotted.key: complaint``"""
    return f"{locate(path)}: {dotted(path)}: {complaint}"


def dotted(path: KeyPath) -> str:
    """``http.api_keys[0].name``, with control characters escaped."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{_plain(part)}" for part in path)
    return text.removeprefix(".") or "the file"


def _lines(detail: ErrorDetails, locate: Locate) -> Iterator[str]:
    path = detail["loc"]
    # A fault in the key itself is marked by one more part; an unknown key may be called that, too.
    if path[-1:] == ("[key]",) and detail["type"] != "extra_forbidden":
        path = path[:-1]
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, Wrong):
        for fault in cause.faults:
            yield line_of((*path, *fault.key), fault.complaint, locate)
        return
    yield line_of(path, _complaint(detail, path), locate)


def _complaint(detail: ErrorDetails, path: KeyPath) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        return keys.unknown(str(path[-1]), keys.field_names(_kind_at(path[:-1])))
    if kind == "missing":
        return "is missing"
    context: Mapping[str, Any] = detail.get("ctx", {})
    if kind == "value_error":
        allowed = str(context["error"])
        if isinstance(detail["input"], list | tuple | dict):
            return allowed  # it names the item that is wrong
    elif kind in _ALLOWED:
        allowed = _ALLOWED[kind].format(**{name: _bound(limit) for name, limit in context.items()})
    else:
        allowed = detail["msg"]
    return f"{_shown(detail['input'], path)}: {allowed}"


def _kind_at(path: KeyPath) -> keys.Kind:
    kind: keys.Kind = Settings
    for part in path:
        kind = keys.item(kind) if isinstance(part, int) else keys.step(kind, part)
    return kind


def _shown(value: object, path: KeyPath) -> str:
    if _SECRET_KEYS.intersection(str(part) for part in path):
        return "(value not shown)"
    if value and isinstance(value, dict):
        return "a mapping"
    if value and isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, str) and path[-1:] == ("url",) and _may_have_password(value):
        return "(value not shown)"
    if isinstance(value, str):
        return f"'{_shortened(_plain(_PASSWORD.sub('***', value)))}'"
    return _shortened(json.dumps(value, default=repr))


def _may_have_password(url: str) -> bool:
    """Whether a mistyped URL has a password that `_PASSWORD` does not find: after any other colon,
    or before an @ that no :// comes before."""
    scheme, _, rest = url.rpartition("://")
    return "***" not in _PASSWORD.sub("***", url) and (":" in rest or (not scheme and "@" in rest))


def _bound(limit: object) -> object:
    """A limit as people write it: 5 for 5.0."""
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def _shortened(text: str) -> str:
    return text if len(text) <= _VALUE_CHARACTERS else text[:_VALUE_CHARACTERS] + "..."


def _plain(text: str) -> str:
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
