"""Which tasks of a submission are new, and whether there is room for them: all come in, or none.

The same for tasks that are to run again.
"""

from collections import Counter
from collections.abc import Collection, Mapping

from task_queue.core.effects import Accepted, Counted, Effects, Refused
from task_queue.core.events import TasksReplayed, TasksSubmitted
from task_queue.core.new_tasks import is_timed
from task_queue.core.settings import Rules
from task_queue.core.task import Task, TaskSpec
from task_queue.core.task_book import TaskBook
from task_queue.core.worker import WorkerState


class Acceptance:
    """The rules for what callers submit."""

    def __init__(self, book: TaskBook, rules: Rules, workers: Mapping[str, WorkerState]) -> None:
        """
        Args:
            workers: the living ones, at any time. A queue that one of them names may hold tasks.
        """
        self._book = book
        self._rules = rules
        self._workers = workers

    def submit(self, event: TasksSubmitted, now: float, fx: Effects) -> Accepted | Refused:
        """Take in what is not there yet, if there is room for it."""
        counts = Counter([spec.queue for spec in event.specs])
        full = self._full_queue(event, counts)
        if full is not None:
            return Refused(
                "queue_full",
                f"queue '{full}' already holds {self._rules.max_queue_length} waiting tasks; "
                "submit again later, or raise limits.max_queue_length",
            )
        if self._opens_too_many(event, counts):
            return Refused("queue_full", self._many_queues())
        if self._too_many_timed(event):
            return Refused(
                "queue_full",
                f"{self._rules.max_timed_tasks} tasks with run_at, delay_seconds or expires_at are "
                "not over yet; submit again later, without a time, or raise limits.max_timed_tasks",
            )
        if self._are_all_new(event):
            self._book.accept(event.specs, now, fx)
            return Accepted([spec.id for spec in event.specs])
        return self._accept_new_ones(event, now, fx)

    def _are_all_new(self, event: TasksSubmitted) -> bool:
        """Whether `_existing` would find none of them, nor one twice: cheaper, and mostly so."""
        ids = {spec.id for spec in event.specs}
        keys = [spec.idempotency_key for spec in event.specs if spec.idempotency_key is not None]
        there = (self._book.live, self._book.gone_at_once, event.known)
        return (
            not keys
            and len(ids) == len(event.specs)
            and all(not known or known.keys().isdisjoint(ids) for known in there)
        )

    def _accept_new_ones(self, event: TasksSubmitted, now: float, fx: Effects) -> Accepted:
        known = dict(event.known)
        new: list[TaskSpec] = []
        answer = Accepted([])
        for position, spec in enumerate(event.specs):
            existing = self._existing(spec, known)
            if existing is None:
                new.append(spec)
                known[spec.id] = spec.id
                if spec.idempotency_key is not None:
                    known[spec.idempotency_key] = spec.id
            else:
                answer.duplicates.append(position)
            answer.task_ids.append(existing or spec.id)
        if new:
            self._book.accept(new, now, fx)
        return answer

    def replay(self, event: TasksReplayed, now: float, fx: Effects) -> Counted | Refused:
        """Take in again those that are not live, if there is room for them in memory."""
        requests = fx.changes.requests
        if event.request_id in requests:  # sent twice within one turn
            return Counted(requests[event.request_id])
        tasks = {t.spec.id: t for t in event.tasks if t.spec.id not in self._book.live}
        full = self._no_room_again(tasks.values())
        if full is not None:
            return Refused("queue_full", full)
        for task in tasks.values():
            self._book.replay(task, now, fx)
        if event.request_id:
            requests[event.request_id] = len(tasks)
        return Counted(len(tasks))

    def _no_room_again(self, tasks: Collection[Task]) -> str | None:
        """Why tasks that are over cannot all be live again now, with the cure."""
        rules, more = self._rules, Counter(task.spec.queue for task in tasks)
        if self._too_many_queues(more.keys()):
            return self._many_queues()
        for queue, count in more.items():
            if count > self._book.room_for_returned(queue):
                return (
                    f"queue '{queue}' has no room for {count} more tasks that run again, which all "
                    "wait in memory: try again when some of those it has are over, or raise "
                    "limits.max_retrying"
                )
        if sum(is_timed(task.spec) for task in tasks) > rules.max_timed_tasks - self._book.timed:
            return (
                f"{rules.max_timed_tasks} tasks with run_at, delay_seconds or expires_at are not "
                "over yet; try again when some are, or raise limits.max_timed_tasks"
            )
        return None

    def _existing(self, spec: TaskSpec, known: dict[str, str]) -> str | None:
        """The id of the task that was accepted for `spec` before."""
        book, key = self._book, spec.idempotency_key
        # Its id may be another one's key.
        if spec.id in book.live or spec.id in (known.get(spec.id), book.gone_at_once.get(spec.id)):
            return spec.id
        if key is None:
            return None
        return book.keys.get(key) or known.get(key) or book.gone_at_once.get(key)

    def _full_queue(self, event: TasksSubmitted, counts: Mapping[str, int]) -> str | None:
        most = self._rules.max_queue_length
        for queue, count in counts.items():
            line = self._book.lines.get(queue)
            waiting = len(line) + self._book.delayed.get(queue, 0) if line is not None else 0
            if waiting + count > most:  # of these some may be in the queue already
                new = {
                    spec.idempotency_key or spec.id
                    for spec in event.specs
                    if spec.queue == queue and self._existing(spec, event.known) is None
                }
                if new and waiting + len(new) > most:
                    return queue
        return None

    def _opens_too_many(self, event: TasksSubmitted, counts: Mapping[str, int]) -> bool:
        lines = self._book.lines
        opened = [queue for queue in counts if queue not in lines]
        if len(lines) + len(opened) <= self._rules.max_queues:
            return False  # as nearly always
        new = {s.queue for s in event.specs if self._existing(s, event.known) is None}
        return self._too_many_queues(new.intersection(opened))

    def _too_many_queues(self, wanted: Collection[str]) -> bool:
        """Whether more queues would hold tasks than may, if these did."""
        book, most = self._book, self._rules.max_queues
        if len(book.lines) + len(wanted) <= most:
            return False
        book.drop_empty_lines()
        made_up = {queue for queue in wanted if queue not in book.lines}
        if made_up and len(book.lines) + len(made_up) > most:
            named = {queue for w in self._workers.values() for queue in w.info.queues}
            return any(queue not in named for queue in made_up)
        return False

    def _many_queues(self) -> str:
        return (
            f"{len(self._book.lines)} queues hold tasks already: use one of them, or one that a "
            "pool names, try again when some are empty, or raise limits.max_queues"
        )

    def _too_many_timed(self, event: TasksSubmitted) -> bool:
        room = self._rules.max_timed_tasks - self._book.timed
        if len(event.specs) <= room:
            return False
        timed = [spec for spec in event.specs if is_timed(spec)]
        return sum(self._existing(spec, event.known) is None for spec in timed) > room
