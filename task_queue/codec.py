"""Arguments and results to JSON and back, exactly or not at all.

JSON encoders turn NaN into null, integer keys into strings and dates into text without a word. Here
a value is written only if reading it gives the same value again; tuples, which come back as lists,
are the one exception.
"""

import math
from typing import Any

import msgspec

from task_queue.errors import NotJsonError

_CURES = {
    "ndarray": "use .tolist()",
    "DataFrame": 'use .to_dict(orient="records")',
    "datetime": "use .isoformat()",
    "date": "use .isoformat()",
    "Decimal": "use str() or float()",
    "bytes": "use base64.b64encode(...).decode()",
    "set": "use sorted()",
    "PosixPath": "use str()",
}

_encode = msgspec.json.Encoder().encode

#: Of a text that cannot be encoded, so much is shown on either side.
_SHOWN_CHARACTERS = 20


def to_json(value: Any, where: str) -> bytes:
    """`value` as JSON.

    Args:
        value: None, bool, int (64 bits), finite float, str, and lists, tuples and
            string-keyed dicts of these.
        where: what the value is, for the error message: "result", "argument 'size'".

    Raises:
        NotJsonError: something in it has no exact JSON form.
    """
    try:
        if value is not None:  # as most results are
            _check(value, where)
        return _encode(value)
    except UnicodeEncodeError as error:
        raise NotJsonError(_lone_surrogate(error, where)) from None
    except RecursionError:
        raise NotJsonError(
            f"{where} is nested too deeply, or contains itself: flatten it, or send references"
        ) from None


def from_json(data: bytes) -> Any:
    """The value that `to_json` wrote."""
    return msgspec.json.decode(data)


def _lone_surrogate(error: UnicodeEncodeError, where: str) -> str:
    start = max(0, error.start - _SHOWN_CHARACTERS)
    shown = error.object[start : error.end + _SHOWN_CHARACTERS]
    return (
        f"{where} has a lone surrogate in the text {shown!a}, as an undecodable file name has, "
        "which JSON cannot carry: use .encode(errors='replace').decode(), or base64 of the bytes"
    )


def _check(value: Any, where: str) -> None:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return
    if kind is int:
        if not -(2**63) <= value < 2**64:
            raise NotJsonError(f"{where} is an integer of more than 64 bits: send it as a string")
    elif kind is float:
        if not math.isfinite(value):
            raise NotJsonError(f"{where} is {value}, which JSON cannot say: send null instead")
    elif kind is list or kind is tuple:
        for index, item in enumerate(value):
            _check(item, f"{where}[{index}]")
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise NotJsonError(f"{where} has the key {key!r}: JSON keys are strings")
            _check(item, f"{where}[{key!r}]")
    else:
        cure = _CURES.get(kind.__name__, "convert it to numbers, strings, lists and dicts")
        raise NotJsonError(f"{where} is a {kind.__name__}, which JSON does not have: {cure}")
