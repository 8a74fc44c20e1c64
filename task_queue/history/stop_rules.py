"""The promises about what was told to stop: queues that are paused, workers that drain.

What was leased before the word came may still begin: as many tasks as the workers hold, each once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from task_queue.history.bounds import Bounds
from task_queue.history.life import Life, Placed
from task_queue.history.life_rules import Finding
from task_queue.history.record import Kind, Record


def run_while_paused(
    history: Sequence[Record], lives: Mapping[str, Life], bounds: Bounds
) -> Iterator[Finding]:
    """A paused queue gives out nothing until somebody asks for its resumption."""
    paused: dict[str, Placed] = {}
    for place, record in enumerate(history):
        if record.kind is Kind.QUEUE_PAUSED:
            paused.setdefault(record.queue, (place, record))
        elif record.kind is Kind.QUEUE_RESUMED and record.queue in paused:
            stopped = paused.pop(record.queue)
            chosen = [life for life in lives.values() if life.queue == record.queue]
            yield from _begun(chosen, stopped, place, bounds.read_ahead)
    for queue, stopped in paused.items():
        chosen = [life for life in lives.values() if life.queue == queue]
        yield from _begun(chosen, stopped, len(history), bounds.read_ahead)


def run_while_draining(
    history: Sequence[Record], lives: Mapping[str, Life], bounds: Bounds
) -> Iterator[Finding]:
    """A worker that drains is given nothing."""
    most = bounds.read_ahead if bounds.worker_leases is None else bounds.worker_leases
    for place, record in enumerate(history):
        if record.kind is Kind.WORKER_DRAINING:
            stopped = (place, record)
            yield from _begun(lives.values(), stopped, len(history), most, record.worker)


def _begun(
    lives: Iterable[Life], stopped: Placed, until: int, most: int, worker: str = ""
) -> Iterator[Finding]:
    """What began although it could not have been leased before the word came."""
    since, word = stopped
    begun: list[Record] = []
    for life in lives:
        starts = [
            record for place, record in life.started
            if since < place < until and worker in ("", record.worker)
        ]  # fmt: skip
        begun += starts
        if starts and life.asked_at > since:
            yield f"{life.task_id} began, that was submitted later", [word, starts[0]]
        if len(starts) > 1:
            yield f"{life.task_id} began {len(starts)} times", [word, *starts]
    if len(begun) > most:
        yield f"{len(begun)} began, and {most} were leased at most", [word, *begun]
