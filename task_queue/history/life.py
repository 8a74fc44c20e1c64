"""A history sorted by task: what the rules look at."""

from collections.abc import Sequence

from msgspec import Struct, field

from task_queue.history.record import Kind, Record

#: A record with its place in the history.
Placed = tuple[int, Record]


class Life(Struct):
    """All that was seen of one task, each list in the order of the history."""

    task_id: str
    sent: list[Placed] = field(default_factory=list)
    accepted: list[Placed] = field(default_factory=list)
    started: list[Placed] = field(default_factory=list)
    finished: list[Placed] = field(default_factory=list)
    cancels: list[Placed] = field(default_factory=list)
    over: list[Placed] = field(default_factory=list)


_LIST_OF = {
    Kind.SUBMIT_SENT: "sent",
    Kind.ACCEPTED: "accepted",
    Kind.STARTED: "started",
    Kind.FINISHED: "finished",
    Kind.CANCEL_ACKNOWLEDGED: "cancels",
    Kind.OVER: "over",
}


def lives_of(history: Sequence[Record]) -> dict[str, Life]:
    """The lives in a history, by task id."""
    lives: dict[str, Life] = {}
    for place, record in enumerate(history):
        life = lives.get(record.task_id)
        if life is None:
            life = lives[record.task_id] = Life(record.task_id)
        getattr(life, _LIST_OF[record.kind]).append((place, record))
    return lives
