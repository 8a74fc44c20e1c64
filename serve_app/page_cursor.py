"""Where a page of a list ended, as an opaque word for the next request."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from http import HTTPStatus

from serve_app.problems import ApiProblem

_PREFIX = b"seq:"


def cursor_of(seq: int) -> str:
    """The cursor after the task with this seq."""
    return urlsafe_b64encode(_PREFIX + str(seq).encode()).decode().rstrip("=")


def seq_of(cursor: str) -> int:
    """The seq that a cursor stands for.

    Raises:
        ApiProblem: 422, it is none of ours.
    """
    text = _decoded(cursor)
    prefix, digits = text[: len(_PREFIX)], text[len(_PREFIX) :]
    if prefix == _PREFIX and digits.isdigit() and len(digits) <= 18:
        return int(digits)
    detail = "query parameter cursor: take it from next_cursor of the page before, unchanged"
    raise ApiProblem(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def _decoded(cursor: str) -> bytes:
    try:
        return urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):
        return b""  # which is none of ours either
