"""Which keys the settings have, read off the models.

Two parts ask: the environment, which must know whether TASK_QUEUE_HTTP__PORT leads anywhere, and
the error messages, which name the key that was meant. Values are not looked at here.
"""

import difflib
import types
from collections.abc import Sequence
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

#: The type of a key's value, as annotated, without "| None".
Kind = Any


def step(kind: Kind, key: str) -> Kind | None:
    """What `key` leads to in a value of this kind; None if there is no such key."""
    if _is_model(kind):
        field = kind.model_fields.get(key)
        return None if field is None else bare(field.annotation)
    if _origin(kind) is dict:
        return bare(get_args(kind)[1])
    return None


def item(kind: Kind) -> Kind | None:
    """The kind of the items of a list; None if it is no list."""
    return bare(get_args(kind)[0]) if _origin(kind) is tuple else None


def bare(annotation: Any) -> Kind:
    """An annotation without its constraints and without "| None"."""
    while hasattr(annotation, "__metadata__"):
        annotation = annotation.__origin__
    if _origin(annotation) in (Union, types.UnionType):
        members = [m for m in get_args(annotation) if m is not type(None)]
        return bare(members[0]) if len(members) == 1 else annotation
    return annotation


def is_section(kind: Kind) -> bool:
    """Whether it has keys that lead on, so that it is no value of its own."""
    if _origin(kind) is dict:
        return is_section(bare(get_args(kind)[1]))
    return _is_model(kind)


def is_text(kind: Kind) -> bool:
    """Whether its values are text, as they stand."""
    return kind is str or _origin(kind) is Literal


def has_free_keys(kind: Kind) -> bool:
    """Whether the keys are the operator's own, as with the names of pools."""
    return _origin(kind) is dict


def field_names(kind: Kind) -> list[str]:
    """The keys that it may have; empty if they are free or there are none."""
    return list(kind.model_fields) if _is_model(kind) else []


def unknown(key: str, known: Sequence[str]) -> str:
    """The complaint about a key that does not exist."""
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if nearest:
        return f"unknown; did you mean '{nearest[0]}'?"
    return f"unknown; known here: {', '.join(known) or 'nothing'}"


def _origin(kind: Kind) -> Any:
    return get_origin(kind)


def _is_model(kind: Kind) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
