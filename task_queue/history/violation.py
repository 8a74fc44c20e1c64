"""A promise that was broken, with what proves it."""

import msgspec
from msgspec import Struct

from task_queue.history.record import Record


class Violation(Struct, frozen=True):
    """One verdict against a history."""

    rule: str  #: name of the rule, as in docs/reliability.md
    task_id: str
    message: str
    proof: list[Record]  #: the records that prove it, in order

    def __str__(self) -> str:
        lines = [f"{self.rule}: {self.message}"]
        lines += [f"    {msgspec.json.encode(record).decode()}" for record in self.proof]
        return "\n".join(lines)
