"""Which tasks of a submission are new, and whether there is room for them: all come in, or none."""

from collections import Counter

from task_queue.core.effects import Accepted, Effects, Refused
from task_queue.core.events import TasksSubmitted
from task_queue.core.new_tasks import is_timed
from task_queue.core.settings import Rules
from task_queue.core.task import TaskSpec
from task_queue.core.task_book import TaskBook


class Acceptance:
    """The rules for what callers submit."""

    def __init__(self, book: TaskBook, rules: Rules) -> None:
        self._book = book
        self._rules = rules

    def submit(self, event: TasksSubmitted, now: float, fx: Effects) -> Accepted | Refused:
        """Take in what is not there yet, if there is room for it."""
        full = self._full_queue(event)
        if full is not None:
            return Refused(
                "queue_full",
                f"queue '{full}' already holds {self._rules.max_queue_length} waiting tasks; "
                "submit again later, or raise limits.max_queue_length",
            )
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
            and all(known.keys().isdisjoint(ids) for known in there)
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

    def _existing(self, spec: TaskSpec, known: dict[str, str]) -> str | None:
        """The id of the task that was accepted for `spec` before."""
        book, key = self._book, spec.idempotency_key
        # Its id may be another one's key.
        if spec.id in book.live or spec.id in (known.get(spec.id), book.gone_at_once.get(spec.id)):
            return spec.id
        if key is None:
            return None
        return book.keys.get(key) or known.get(key) or book.gone_at_once.get(key)

    def _full_queue(self, event: TasksSubmitted) -> str | None:
        most = self._rules.max_queue_length
        for queue, count in Counter([spec.queue for spec in event.specs]).items():
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

    def _too_many_timed(self, event: TasksSubmitted) -> bool:
        room = self._rules.max_timed_tasks - self._book.timed
        if len(event.specs) <= room:
            return False
        timed = [spec for spec in event.specs if is_timed(spec)]
        return sum(self._existing(spec, event.known) is None for spec in timed) > room
