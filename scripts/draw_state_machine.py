"""Draws docs/state-machine.md from the table of transitions.

    python -m scripts.draw_state_machine

The page is generated so that the picture cannot tell anything that the machine does not do. A test
fails when it is out of date.
"""

from pathlib import Path

from task_queue.core.status import TERMINAL, Happening, Status
from task_queue.core.transitions import TRANSITIONS

PAGE = Path(__file__).parents[1] / "docs" / "state-machine.md"

_STATUSES = {
    Status.SCHEDULED: "its `run_at` lies in the future",
    Status.QUEUED: "may be given to a worker",
    Status.RUNNING: "leased to one worker",
    Status.RETRYING: "an attempt failed or its worker died; waits for its back-off",
    Status.COMPLETED: "over: an attempt succeeded",
    Status.FAILED: "over: no attempts left, or none wanted; in the dead-letter queue",
    Status.CANCELLED: "over: a person or a program asked for it",
    Status.EXPIRED: "over: `expires_at` passed before it could start",
}
_HAPPENINGS = {
    Happening.DUE: "the time it waited for has come",
    Happening.EXPIRE: "`expires_at` has passed, and it does not run",
    Happening.CLAIM: "a worker was granted the lease; the attempt number grows by one",
    Happening.SUCCEED: "the worker reports a result for the current attempt",
    Happening.FAIL_RETRYABLE: (
        "the task raised or timed out and has retries left, or its worker or executor ended under "
        "it and it is not at the quarantine limit"
    ),
    Happening.FAIL_FINAL: "as above, with none left, or the error is not retryable",
    Happening.RELEASE: "given back: its worker or machine had to go, or the grant never arrived",
    Happening.CANCEL: "cancelled; a RUNNING task is over when its worker has stopped it",
    Happening.REPLAY: "a person runs it again, with a clean slate",
}

_HEADER = """\
<!-- Generated from task_queue/core/transitions.py. Do not edit; run:
     python -m scripts.draw_state_machine -->

# The states of a task

A task is always in exactly one status. It moves only as the table says; any other move is refused
as a bug (`IllegalTransition`), and a test tries every one of them.
"""


def state_machine_page() -> str:
    """The text of docs/state-machine.md."""
    parts = [_HEADER, _diagram(), _statuses(), _moves(), _table()]
    return "\n".join(parts)


def _diagram() -> str:
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f"    [*] --> {status} : submit" for status in (Status.SCHEDULED, Status.QUEUED)]
    lines += [
        f"    {before} --> {after} : {happening.value}"
        for (before, happening), after in TRANSITIONS.items()
    ]
    lines += [f"    {status} --> [*]" for status in Status if status in TERMINAL]
    return "\n".join([*lines, "```", ""])


def _statuses() -> str:
    lines = ["| Status | Meaning |", "| --- | --- |"]
    lines += [f"| {status} | {_STATUSES[status]} |" for status in Status]
    return "\n".join([*lines, ""])


def _moves() -> str:
    lines = ["| What happens | When |", "| --- | --- |"]
    lines += [f"| {happening.value} | {_HAPPENINGS[happening]} |" for happening in Happening]
    return "\n".join([*lines, ""])


def _table() -> str:
    """Status by happening; a dash is a move that does not exist."""
    lines = [
        "From the status on the left, by what happens, to:",
        "",
        "| | " + " | ".join(happening.value for happening in Happening) + " |",
        "| --- " * (len(Happening) + 1) + "|",
    ]
    for status in Status:
        cells = [str(TRANSITIONS.get((status, happening), "-")) for happening in Happening]
        lines.append(f"| **{status}** | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    PAGE.write_text(state_machine_page(), "utf-8")
