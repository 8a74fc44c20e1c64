"""From bytes and query strings to the shapes of wire.py, strictly, with errors that help.

msgspec does the work in one pass. Its messages say what was expected and where; here they get what
a person needs besides: which fields there are, and which one was probably meant.
"""

import re
from collections.abc import Sequence
from functools import cache
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from fastapi import Request
from msgspec import Struct, inspect

from serve_app.nearest import hint
from serve_app.problems import ApiProblem

T = TypeVar("T", bound=Struct)

_MESSAGE = re.compile(r"(?P<what>.*?)(?: - at `(?P<path>.*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<field>.*)`")
_TOKEN = re.compile(r"\[[^\]]*\]|[^.\[\]$]+")


class NoFields(Struct, forbid_unknown_fields=True):
    """No body, and no query parameters."""


def decode_body(body: bytes, shape: type[T]) -> T:
    """The body as `shape`.

    Raises:
        ApiProblem: 400, it is not JSON; 422, it is JSON of another shape.
    """
    return decode_json(body or _empty(shape), shape)


def decode_json(body: bytes, shape: type[T], where: str = "") -> T:
    """JSON as `shape`; `where` goes before the path in an error, such as "tasks[3]".

    Raises:
        ApiProblem: as for `decode_body`.
    """
    try:
        if not body.isascii():
            body.decode()  # msgspec does not look into the parts that it leaves undecoded
        decoded: T = _decoder(shape).decode(body)
    except msgspec.ValidationError as error:
        detail = explain(str(error), shape, where)
        raise ApiProblem(HTTPStatus.UNPROCESSABLE_ENTITY, detail) from None
    except msgspec.DecodeError as error:
        raise ApiProblem(HTTPStatus.BAD_REQUEST, _not_json(str(error))) from None
    except UnicodeDecodeError as error:
        detail = f"the body is not UTF-8 (byte {error.start}): encode the JSON as UTF-8"
        raise ApiProblem(HTTPStatus.BAD_REQUEST, detail) from None
    except RecursionError:
        detail = "the body is nested too deeply: flatten it"
        raise ApiProblem(HTTPStatus.BAD_REQUEST, detail) from None
    return decoded


def decode_query(request: Request, shape: type[T]) -> T:
    """The query parameters as `shape`; a list's parameter may be repeated or comma separated.

    Raises:
        ApiProblem: 422, one is unknown, given twice, or not what it should be.
    """
    values: dict[str, Any] = {}
    if request.scope["query_string"]:
        values = _query_values(request, _list_fields(shape))
    try:
        return msgspec.convert(values, shape, strict=False)
    except msgspec.ValidationError as error:
        detail = f"query parameter {explain(str(error), shape)}"
        raise ApiProblem(HTTPStatus.UNPROCESSABLE_ENTITY, detail) from None


def _query_values(request: Request, lists: frozenset[str]) -> dict[str, Any]:
    """The query parameters by name; those that are `lists` as such."""
    values: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in lists:
            values.setdefault(name, []).extend(part.strip() for part in value.split(","))
        elif name in values:
            raise ApiProblem(
                HTTPStatus.UNPROCESSABLE_ENTITY, f"query parameter {name} is given twice: give one"
            )
        else:
            values[name] = value
    return values


def explain(message: str, shape: Any, where: str = "") -> str:
    """A validation message of msgspec in words: the path, what is wrong, and the cure."""
    match = _MESSAGE.fullmatch(message)
    assert match is not None  # the pattern takes any text
    what, path = match["what"], (match["path"] or "$").removeprefix("$").removeprefix(".")
    place = ".".join(part for part in (where, path) if part)
    if unknown := _UNKNOWN.fullmatch(what):
        field = unknown["field"]
        return f"{_join(place, field)}: unknown; {hint(field, _fields_at(shape, path), 'fields')}"
    if missing := _MISSING.fullmatch(what):
        return f"{_join(place, missing['field'])}: is required and missing"
    choices = _as(_type_at(shape, path), inspect.LiteralType)
    cure = f"; give one of {', '.join(map(str, choices.values))}" if choices else ""
    return f"{place or 'body'}: {what[:1].lower()}{what[1:]}{cure}"


def _join(place: str, field: str) -> str:
    return f"{place}.{field}" if place else field


def _not_json(reason: str) -> str:
    if "truncated" in reason:
        reason += ": it ends too early, or has a \\u escape that is half of a surrogate pair"
    return f"the body is not JSON: {reason}; NaN, Infinity and comments are not JSON either"


@cache
def _decoder(shape: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(shape)


@cache
def _empty(shape: Any) -> bytes:
    """What no body at all stands for: an object without fields, if the shape allows that."""
    try:
        msgspec.json.decode(b"{}", type=shape)
    except msgspec.ValidationError:
        return b""
    return b"{}"


@cache
def _list_fields(shape: Any) -> frozenset[str]:
    info = inspect.type_info(shape)
    assert isinstance(info, inspect.StructType)
    return frozenset(f.encode_name for f in info.fields if _as(f.type, inspect.ListType))


def _fields_at(shape: Any, path: str) -> Sequence[str]:
    """The fields of the object at `path` within `shape`."""
    struct = _as(_type_at(shape, path), inspect.StructType)
    return [field.encode_name for field in struct.fields] if struct else []


def _type_at(shape: Any, path: str) -> Any:
    """What msgspec knows of the value at `path` within `shape`; None if the path leads nowhere."""
    info: Any = inspect.type_info(shape)
    for token in _TOKEN.findall(path):
        if token.startswith("[") and (items := _as(info, inspect.ListType)):
            info = items.item_type
        elif struct := _as(info, inspect.StructType):
            info = next((f.type for f in struct.fields if f.encode_name == token), None)
        else:
            return None
    return info


def _as(info: Any, kind: Any) -> Any:
    """`info` as a type of that kind, looked for behind constraints and alternatives."""
    if isinstance(info, inspect.Metadata):
        return _as(info.type, kind)
    if isinstance(info, inspect.UnionType):
        return next((found for part in info.types if (found := _as(part, kind))), None)
    return info if isinstance(info, kind) else None
