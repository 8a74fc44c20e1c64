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
    reruns: list[Placed] = field(default_factory=list)  #: that were asked for
    granted: list[Placed] = field(default_factory=list)  #: reruns that the queue said yes to
    pruned: list[Placed] = field(default_factory=list)
    fired: list[Placed] = field(default_factory=list)

    @property
    def queue(self) -> str:
        """Where it was submitted to; empty if nobody submitted it."""
        asked = [*self.sent, *self.fired]
        return asked[0][1].queue if asked else ""

    @property
    def asked_at(self) -> int:
        """The place in the history from which on it was wanted; -1 if nobody submitted it."""
        return min((place for place, _ in (*self.sent, *self.fired)), default=-1)

    def reruns_before(self, place: int) -> int:
        """How many were asked for up to a place in the history."""
        return sum(at < place for at, _ in self.reruns)

    def granted_before(self, place: int) -> int:
        """The place where the last rerun was asked for that was granted before; -1: none was."""
        grants = [at for at, _ in self.granted if at < place]
        return max((at for at, _ in self.reruns if grants and at < grants[-1]), default=-1)


_LIST_OF = {
    Kind.SUBMIT_SENT: "sent",
    Kind.ACCEPTED: "accepted",
    Kind.STARTED: "started",
    Kind.FINISHED: "finished",
    Kind.CANCEL_ACKNOWLEDGED: "cancels",
    Kind.OVER: "over",
    Kind.RERUN_SENT: "reruns",
    Kind.RERUN_ACKNOWLEDGED: "granted",
    Kind.PRUNED: "pruned",
    Kind.FIRED: "fired",
}


def lives_of(history: Sequence[Record]) -> dict[str, Life]:
    """The lives in a history, by task id."""
    lives: dict[str, Life] = {}
    for place, record in enumerate(history):
        if record.kind not in _LIST_OF:
            continue  # it is of no task
        life = lives.get(record.task_id)
        if life is None:
            life = lives[record.task_id] = Life(record.task_id)
        getattr(life, _LIST_OF[record.kind]).append((place, record))
    return lives
