"""The moves of tasks that a worker holds: they are claimed, and somehow the attempt ends."""

from collections.abc import Callable, Iterable, Sequence

from task_queue.core.effects import Effects
from task_queue.core.retry import backoff_seconds
from task_queue.core.status import Happening, Outcome, Status
from task_queue.core.task import Progress, Report, Task, TaskError
from task_queue.core.task_book import TaskBook
from task_queue.core.transitions import TRANSITIONS, next_status

# Read once: an enum's members are found slowly, and these are needed for every task.
_QUEUED = Status.QUEUED
_CLAIMED = TRANSITIONS[Status.QUEUED, Happening.CLAIM]


class Attempts:
    """Each method makes one move of a task of the book, or the same one of several."""

    def __init__(self, book: TaskBook, random: Callable[[], float]) -> None:
        self._book = book
        self._random = random

    def claim(self, tasks: Iterable[Task], worker_id: str, now: float, fx: Effects) -> None:
        """Lease tasks that were just taken from their line."""
        touched, leased = fx.changes.touched, fx.changes.leased
        first_of_turn = self._book.first_of_turn
        for task in tasks:
            status = task.status
            task.status = (
                _CLAIMED
                if status is _QUEUED
                else next_status(task.spec.id, status, Happening.CLAIM)
            )
            task.attempt += 1
            task.worker_id = worker_id
            task.claimed_at = now
            if task.attempt > 1:  # else there was nothing yet
                task.started_at = task.progress = None
            seq = task.seq
            if seq >= first_of_turn:
                leased[seq] = task
            elif seq not in touched:
                touched[seq] = leased[seq] = task

    def tell_progress(self, task: Task, progress: Progress, fx: Effects) -> None:
        """A running task says how far it is."""
        task.progress = progress
        self._book.touch(task, fx)

    def succeed(self, ended: Sequence[tuple[Task, Report]], now: float, fx: Effects) -> None:
        """These attempts did what they should."""
        if not ended:
            return
        fx.changes.ended += ended
        for task, report in ended:
            task.started_at = report.started_at or None
            if task.error is not None:
                task.error = None
        tasks = [task for task, _ in ended]
        self._book.end(tasks, Happening.SUCCEED, "completed", now, fx)

    def fail(self, task: Task, report: Report, now: float, fx: Effects) -> None:
        """The task raised or ran into its timeout: retry it or give it up."""
        changes = fx.changes
        changes.ended.append((task, report))
        task.started_at = report.started_at or None
        task.error = report.error
        task.failures += 1
        timed_out = report.outcome is Outcome.TIMED_OUT
        changes.note(task, "attempt_timed_out" if timed_out else "attempt_failed", now, report)
        if timed_out:
            changes.tally((task,), "timed_out")
        spec = task.spec
        if report.retryable and task.failures <= spec.max_retries:
            wait = report.retry_after_seconds
            if wait is None:
                wait = backoff_seconds(
                    task.failures, spec.retry_base_seconds, spec.retry_cap_seconds, self._random
                )
            self._retry(task, wait, now, fx)
        else:
            task.in_dlq = True
            self._book.end([task], Happening.FAIL_FINAL, "failed", now, fx)

    def survive_death(
        self, task: Task, error: TaskError, max_deaths: int, now: float, fx: Effects,
        report: Report | None = None,
    ) -> None:  # fmt: skip
        """The worker or the executor ended under the task. The task need not be to blame."""
        changes = fx.changes
        if report is not None:
            changes.ended.append((task, report))
        task.deaths += 1
        changes.tally((task,), "died")
        changes.note(task, "attempt_died", now, report, error)
        if task.deaths >= max_deaths:
            task.error = TaskError(
                "Quarantined",
                f"{task.deaths} workers or executors ended while they ran this task; "
                f"the last: {error.type}: {error.message}",
            )
            task.in_dlq = True
            changes.note(task, "quarantined", now, None, task.error)
            self._book.end([task], Happening.FAIL_FINAL, "failed", now, fx)
            return
        task.error = error
        spec = task.spec
        wait = backoff_seconds(
            task.deaths, spec.retry_base_seconds, spec.retry_cap_seconds, self._random
        )
        self._retry(task, wait, now, fx)

    def release(self, task: Task, now: float, fx: Effects, report: Report | None = None) -> None:
        """Give back a task that did not run to an end through no fault of anybody: it is next."""
        if report is not None and report.started_at:
            fx.changes.ended.append((task, report))
            fx.changes.note(task, "attempt_released", now, report)
        else:
            task.unstarted += 1
        self.take_back(task, now, fx)

    def take_back(self, task: Task, now: float, fx: Effects) -> None:
        """As `release`, of a worker that can tell nobody whether the task had begun: the number of
        the attempt is used up, so that no two that ran have the same."""
        task.status = next_status(task.spec.id, task.status, Happening.RELEASE)
        task.worker_id = task.claimed_at = task.started_at = None
        self._book.line_up_first(task)
        self._book.timers.expire_if_past(task, now)
        self._book.touch(task, fx)

    def request_cancel(self, task: Task, now: float, fx: Effects) -> None:
        """Note that a running task is to be stopped; it is over when its worker says so."""
        task.cancel_requested = True
        fx.changes.note(task, "cancel_requested", now)
        self._book.touch(task, fx)

    def _retry(self, task: Task, wait_seconds: float, now: float, fx: Effects) -> None:
        task.status = next_status(task.spec.id, task.status, Happening.FAIL_RETRYABLE)
        task.due_at = now + wait_seconds
        fx.changes.tally((task,), "retried")
        self._book.wait(task)
        self._book.timers.expire_if_past(task, now)
        self._book.touch(task, fx)
