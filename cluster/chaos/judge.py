"""Judges schedules, each when it ends and all of them once more when the campaign does."""

from pathlib import Path

import msgspec
from msgspec import Struct

from task_queue.history import Bounds, Ledger, Record, Violation, check_history


class _Case(Struct):
    ledger: Path
    told: list[Record]  #: what the clients were told
    bounds: Bounds
    found: list[Violation]


class Judge:
    """Keeps what a second look needs. Files of schedules that broke a promise stay for a person."""

    def __init__(self) -> None:
        self._cases: list[_Case] = []

    def judge(
        self, ledger: Path, told: list[Record], bounds: Bounds
    ) -> tuple[list[Record], list[Violation]]:
        """The whole history of a schedule that has ended, and the promises that it breaks."""
        history = _history(ledger, told)
        found = check_history(history, bounds)
        self._cases.append(_Case(ledger, told, bounds, found))
        if found:
            lines = map(msgspec.json.encode, history)
            ledger.with_suffix(".history").write_bytes(b"\n".join(lines))
        return history, found

    def look_again(self) -> list[Violation]:
        """Promises that were broken after their schedule was judged: something began late."""
        late: list[Violation] = []
        for case in self._cases:
            found = check_history(_history(case.ledger, case.told), case.bounds)
            late += [violation for violation in found if violation not in case.found]
            if not found:
                case.ledger.unlink()
        self._cases.clear()
        return late


def _history(ledger: Path, told: list[Record]) -> list[Record]:
    """What clients and tasks saw, in the order of the one clock that they share."""
    return sorted([*told, *Ledger(ledger).read()], key=lambda record: record.at)
