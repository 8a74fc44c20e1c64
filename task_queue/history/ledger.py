"""A file to which many processes append records, each with one write.

A line is written with O_APPEND in a single call, so lines of several processes do not mix on a
local file system. A process that is killed in the middle of a disk that is full may leave a torn
last line: reading names it instead of leaving it out.
"""

import os
from pathlib import Path

import msgspec

from task_queue.errors import TaskQueueError
from task_queue.history.record import Record

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Record).decode


class LedgerError(TaskQueueError):
    """The ledger cannot be written or read; the message says where."""


class Ledger:
    """Records in one file, one JSON document a line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, record: Record) -> None:
        """Add a record; it is with the operating system when this returns.

        Raises:
            LedgerError: the line was not written whole.
        """
        line = _encode(record) + b"\n"
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            written = os.write(file, line)
        finally:
            os.close(file)
        if written != len(line):
            raise LedgerError(f"{self._path}: {written} of {len(line)} bytes were written")

    def read(self) -> list[Record]:
        """All records, in the order of their time.

        Raises:
            LedgerError: a line is no record.
        """
        records: list[Record] = []
        for number, line in enumerate(self._path.read_bytes().splitlines(), 1):
            try:
                records.append(_decode(line))
            except msgspec.DecodeError as error:
                raise LedgerError(f"{self._path}, line {number}: no record: {error}") from None
        return sorted(records, key=lambda record: record.at)
