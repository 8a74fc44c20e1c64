"""Who gets which task, and when a worker's pull is answered."""

from collections.abc import Iterable, Mapping, Set

from task_queue.core.attempts import Attempts
from task_queue.core.effects import Effects, Grant
from task_queue.core.ready import ReadyLine, take_in_order
from task_queue.core.settings import Rules
from task_queue.core.task import Lease, leases_of
from task_queue.core.task_book import TaskBook
from task_queue.core.worker import WorkerState


class Dispatch:
    """Leases what waits to the workers that want it."""

    def __init__(
        self, book: TaskBook, attempts: Attempts, rules: Rules, loaded_at: float,
        workers: Mapping[str, WorkerState], paused: Set[str],
    ) -> None:  # fmt: skip
        """Keep what there is to look at.

        Args:
            loaded_at: when this machine was loaded, in seconds since the epoch.
            workers: by id, as they are in each turn.
            paused: queues that give out nothing, as they are in each turn.
        """
        self._book = book
        self._attempts = attempts
        self._rules = rules
        self._loaded_at = loaded_at
        self._workers = workers
        self._paused = paused

    def answer_pulls(self, now: float, fx: Effects) -> None:
        """Answer the parked pulls that have something to be told.

        Free slots of all workers are filled before any worker gets read-ahead, so that a burst
        smaller than the fleet is spread over it.
        """
        parked = [w for w in self._workers.values() if w.parked_until is not None]
        if not parked:
            return
        takers = [w for w in parked if len(w.held) < w.want and w.takes_work]
        given: dict[str, list[Lease]] = {w.info.worker_id: [] for w in takers}
        if takers and self._book.filled_lines():
            self._book.look_for_crowds()
            if len(takers) > 1:
                for worker in takers:
                    limit = min(worker.want, worker.info.slots)
                    given[worker.info.worker_id] += self._lease(worker, limit, now, fx)
            for worker in takers:
                given[worker.info.worker_id] += self._lease(worker, worker.want, now, fx)
        for worker in parked:
            self._answer_pull(worker, given.get(worker.info.worker_id, []), now, fx)

    def _lease(self, worker: WorkerState, limit: int, now: float, fx: Effects) -> list[Lease]:
        room = limit - len(worker.held)
        if room <= 0:
            return []
        tasks = take_in_order(self._lines_for(worker), room)
        if not tasks:
            return []
        self._attempts.claim(tasks, worker.info.worker_id, now, fx)
        worker.held.update([(task.spec.id, task) for task in tasks])
        asked_at = (worker.parked_until or now) - self._rules.poll_seconds
        return leases_of(tasks, asked_at)

    def _lines_for(self, worker: WorkerState) -> list[ReadyLine]:
        lines, info = self._book.filled_lines(), worker.info
        queues: Iterable[str] = (name for name in info.queues if name in lines)
        if "*" in info.queues:
            queues = (n for n in lines if n in info.queues or n not in info.excluded)
        return [lines[queue] for queue in queues if queue not in self._paused]

    def _answer_pull(
        self, worker: WorkerState, leases: list[Lease], now: float, fx: Effects
    ) -> None:
        order = "" if worker.confirmed else "resync"
        if worker.drained and worker.confirmed:
            order = "end"
        over = worker.parked_until is not None and worker.parked_until <= now
        if leases or order or worker.cancels or not worker.leave_told or over:
            info, by = worker.info, worker.leave_by
            fx.grants.append(
                Grant(info.worker_id, info.incarnation, worker.pull_seq, leases, worker.cancels,
                      order,  # type: ignore[arg-type]  # the three words above are of its type
                      self._loaded_at if order == "resync" else None,
                      None if by is None else max(0.0, by - now))
            )  # fmt: skip
            worker.parked_until = None
            worker.cancels, worker.leave_told = [], True
