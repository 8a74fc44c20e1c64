"""Answers that say yes: shapes of wire.py as JSON."""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import Response

_encode = msgspec.json.Encoder().encode


def json_answer(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """`value`, a Struct or a dict, as a JSON answer."""
    return Response(_encode(value), status, headers, "application/json")
