"""The ledger gives back what was appended, and says so when a line is torn."""

from pathlib import Path

import pytest

from task_queue.history import Kind, Ledger, Record
from task_queue.history.ledger import LedgerError


def test_records_come_back_in_the_order_of_their_time(tmp_path: Path) -> None:
    late = Record(2.0, Kind.FINISHED, "a", 1, "w", result='"a:1"')
    early = Record(1.0, Kind.STARTED, "a", 1, "w")
    for record in (late, early):
        Ledger(tmp_path / "ledger").append(record)
    assert Ledger(tmp_path / "ledger").read() == [early, late]


def test_a_torn_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    Ledger(path).append(Record(1.0, Kind.STARTED, "a", 1, "w"))
    with path.open("ab") as file:
        file.write(b'{"at":2.0,"ki')
    with pytest.raises(LedgerError, match="line 2"):
        Ledger(path).read()
