"""A schedule is judged by what clients and tasks saw together, and once more at the very end."""

from pathlib import Path

import pytest

from cluster.chaos.judge import Judge
from task_queue.history import Bounds, Kind, Ledger, Record

_BOUNDS = Bounds(read_ahead=1)
_TOLD = [
    Record(1.0, Kind.SUBMIT_SENT, "a", queue="q"),
    Record(2.0, Kind.ACCEPTED, "a"),
    Record(5.0, Kind.OVER, "a", status="COMPLETED", result="a:1"),
]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Of one task that began and ended once."""
    path = tmp_path / "one.ledger"
    Ledger(path).append(Record(3.0, Kind.STARTED, "a", 1, "w"))
    Ledger(path).append(Record(4.0, Kind.FINISHED, "a", 1, "w", result="a:1"))
    return path


def test_what_clients_and_tasks_saw_is_one_history(ledger: Path) -> None:
    history, violations = Judge().judge(ledger, _TOLD, _BOUNDS)
    assert [record.at for record in history] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert violations == []


def test_files_of_a_good_schedule_go_and_those_of_a_bad_one_stay(
    ledger: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "two.ledger"
    bad.touch()
    judge = Judge()
    judge.judge(ledger, _TOLD, _BOUNDS)
    _, violations = judge.judge(bad, _TOLD, _BOUNDS)
    assert [violation.rule for violation in violations] == ["result_without_attempt"]
    assert judge.look_again() == []  # it is known already
    assert sorted(path.name for path in tmp_path.iterdir()) == ["two.history", "two.ledger"]


def test_what_begins_after_its_schedule_was_judged_is_found(ledger: Path) -> None:
    judge = Judge()
    judge.judge(ledger, _TOLD, _BOUNDS)
    Ledger(ledger).append(Record(60.0, Kind.STARTED, "a", 2, "w"))
    rules = {violation.rule for violation in judge.look_again()}
    assert "run_after_end" in rules
