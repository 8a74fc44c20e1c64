"""One column of many rows, as the binary array that `unnest` takes.

psycopg adapts any list, element by element in Python; here the type is known beforehand.
"""

from collections.abc import Sequence
from struct import pack
from typing import Any, Literal

from psycopg.abc import Buffer
from psycopg.adapt import Dumper, PyFormat
from psycopg.pq import Format

Kind = Literal["bigint", "integer", "double precision", "boolean", "text", "bytea"]

#: Of a fixed size: the type's OID, the array's, struct's letter, bytes.
_FIXED: dict[str, tuple[int, int, str, int]] = {
    "bigint": (20, 1016, "q", 8),
    "integer": (23, 1007, "i", 4),
    "double precision": (701, 1022, "d", 8),
    "boolean": (16, 1000, "?", 1),
}
_VARIABLE: dict[str, tuple[int, int]] = {"text": (25, 1009), "bytea": (17, 1001)}
_NULL = b"\xff\xff\xff\xff"


class Column:
    """Values of one type, or None."""

    __slots__ = ("kind", "values")

    def __init__(self, kind: Kind, values: Sequence[Any]) -> None:
        self.kind = kind
        self.values = values

    @property
    def array_oid(self) -> int:
        """Of the type of the array."""
        return _FIXED[self.kind][1] if self.kind in _FIXED else _VARIABLE[self.kind][1]

    def encoded(self) -> bytes:
        """PostgreSQL's binary format of a one-dimensional array."""
        values, count = self.values, len(self.values)
        if self.kind in _FIXED:
            oid, _, letter, size = _FIXED[self.kind]
            if None not in values:
                flat: list[Any] = [size] * (2 * count)
                flat[1::2] = values
                return _header(0, oid, count) + pack(">" + ("i" + letter) * count, *flat)
            form = ">i" + letter
            parts = [_NULL if value is None else pack(form, size, value) for value in values]
        else:
            oid = _VARIABLE[self.kind][0]
            if count > 1 and values[0] == values[-1]:
                # Most columns say the same of many tasks: each text is put together once.
                known = {value: _part(value) for value in set(values)}
                parts = [known[value] for value in values]
            else:
                parts = _parts(values)
        return _header(1, oid, count) + b"".join(parts)


def _parts(values: Sequence[str | bytes | None]) -> list[bytes]:
    if not values or None in values:
        return list(map(_part, values))
    raws = [value.encode() if isinstance(value, str) else value or b"" for value in values]
    lengths = set(map(len, raws))
    if len(lengths) > 1:
        return list(map(_part, raws))
    # Ids are all of one length.
    flat: list[Any] = [*lengths] * (2 * len(raws))
    flat[1::2] = raws
    return [pack(">" + f"i{flat[0]}s" * len(raws), *flat)]


def _part(value: str | bytes | None) -> bytes:
    if value is None:
        return _NULL
    raw = value.encode() if isinstance(value, str) else value
    return pack(">i", len(raw)) + raw


def _header(may_hold_null: int, oid: int, count: int) -> bytes:
    return pack(">iiiii", 1, may_hold_null, oid, count, 1) if count else pack(">iii", 0, 0, oid)


class ColumnDumper(Dumper):
    """Tells psycopg of Column."""

    format = Format.BINARY

    def __init__(self, cls: type, context: Any = None, *, oid: int = 0) -> None:
        super().__init__(cls, context)
        self.oid = oid

    def get_key(self, obj: Column, format: PyFormat) -> Any:  # noqa: ARG002  psycopg's signature
        return (self.cls, obj.kind)

    def upgrade(self, obj: Column, format: PyFormat) -> "ColumnDumper":  # noqa: ARG002  as above
        return ColumnDumper(self.cls, oid=obj.array_oid)

    def dump(self, obj: Column) -> Buffer:
        return obj.encoded()
