"""Bugs planted into the real parts, which a simulation has to find by itself."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from task_queue.core.acceptance import Acceptance
from task_queue.core.attempts import Attempts
from task_queue.core.dispatch import Dispatch
from task_queue.core.effects import Changes, Effects
from task_queue.core.events import CancelRequested
from task_queue.core.machine import QueueMachine
from task_queue.core.ready import ReadyLine
from task_queue.core.schedule import Schedule
from task_queue.core.schedule_book import ScheduleBook
from task_queue.core.status import Outcome
from task_queue.core.task import Lease, Report, Task, leases_of
from task_queue.core.task_book import TaskBook
from task_queue.core.worker import WorkerState
from task_queue.core.worker_book import WorkerBook
from task_queue.store.memory import MemoryStore

Plant = Callable[[pytest.MonkeyPatch], None]


def no_fencing(patch: pytest.MonkeyPatch) -> None:
    """A report counts for the task whoever sends it, of whichever attempt."""
    take = WorkerBook._take_reports

    def blind(
        self: WorkerBook, worker: WorkerState, reports: list[Any], now: float, fx: Effects
    ) -> None:
        for report in reports:
            task = self._book.live.get(report.task_id)
            holder = self.workers.get(task.worker_id or "") if task is not None else None
            if task is not None and holder is not None and report.task_id in holder.held:
                report.attempt = task.attempt
                take(self, holder, [report], now, fx)

    patch.setattr(WorkerBook, "_take_reports", blind)


def no_epoch(patch: pytest.MonkeyPatch) -> None:
    """A scheduler that was replaced can still write."""
    patch.setattr(MemoryStore, "_refuse_if_stale", lambda self: None)


def forgetful_store(patch: pytest.MonkeyPatch) -> None:
    """Every tenth row that is new is acknowledged and not saved."""
    commit = MemoryStore.commit

    def forget(self: MemoryStore, changes: Changes) -> None:
        commit(self, changes)
        for task in changes.inserted:
            if task.seq % 10 == 0:
                self._rows.pop(task.seq)
                self._seqs.pop(task.spec.id)

    patch.setattr(MemoryStore, "commit", forget)


def attempts_not_counted(patch: pytest.MonkeyPatch) -> None:
    """A task that is claimed again has the number of its first attempt."""
    claim = Attempts.claim

    def stuck(self: Attempts, tasks: Any, worker_id: str, now: float, fx: Effects) -> None:
        for task in tasks:
            task.attempt = 0
        claim(self, tasks, worker_id, now, fx)

    patch.setattr(Attempts, "claim", stuck)


def keys_ignored(patch: pytest.MonkeyPatch) -> None:
    """Idempotency keys are neither looked up nor unique."""

    def existing(self: Acceptance, spec: Any, known: dict[str, str]) -> str | None:
        return spec.id if spec.id in self._book.live or spec.id in known else None

    patch.setattr(Acceptance, "_existing", existing)
    patch.setattr(MemoryStore, "_refuse_if_taken", lambda self, inserted: None)


def cancel_only_said(patch: pytest.MonkeyPatch) -> None:
    """A task that waits is said to be CANCELLED and goes on waiting."""
    handle = QueueMachine._cancel_requested

    def said(self: QueueMachine, event: CancelRequested, now: float, fx: Effects) -> Any:
        task = self.book.live.get(event.task_id)
        if task is not None and task.worker_id is None:
            from task_queue.core.effects import Moved
            from task_queue.core.status import Status

            return Moved(event.task_id, Status.CANCELLED, cancel_requested=False)
        return handle(self, event, now, fx)

    patch.setattr(QueueMachine, "_cancel_requested", said)


def accepted_before_saved(patch: pytest.MonkeyPatch) -> None:
    """A commit that fails is taken for one that worked."""
    from task_queue.store.protocol import StoreError
    from task_queue.turn_loop import Turn, TurnLoop

    save = TurnLoop._save

    def careless(self: TurnLoop, store: Any, turn: Turn, has_refused: bool) -> Any:
        try:
            return save(self, store, turn, has_refused)
        except StoreError:
            return None

    patch.setattr(TurnLoop, "_save", careless)


def last_in_first_out(patch: pytest.MonkeyPatch) -> None:
    """The newest task of a queue is taken first."""
    extend = ReadyLine.extend

    def in_front(self: ReadyLine, priority: int, tasks: Any) -> None:
        for task in tasks:
            extend(self, priority, [task])
            self._lines[priority].rotate(1)

    patch.setattr(ReadyLine, "extend", in_front)


def priorities_upside_down(patch: pytest.MonkeyPatch) -> None:
    """9 is taken for 0."""
    append_new = TaskBook._append_new

    def turned(self: TaskBook, tasks: Any, stay: bool, fx: Effects) -> None:
        for task in tasks:
            task.spec.priority = 9 - task.spec.priority
        append_new(self, tasks, stay, fx)

    patch.setattr(TaskBook, "_append_new", turned)


def newest_page_first(patch: pytest.MonkeyPatch) -> None:
    """Of what is paged out the newest comes in first."""
    lines = MemoryStore._paged_lines

    def turned(self: MemoryStore) -> dict[tuple[str, int], list[int]]:
        return {line: seqs[::-1] for line, seqs in lines(self).items()}

    patch.setattr(MemoryStore, "_paged_lines", turned)


def pause_ignored(patch: pytest.MonkeyPatch) -> None:
    """A paused queue gives out its tasks all the same."""
    lines_for = Dispatch._lines_for

    def all_lines(self: Dispatch, worker: WorkerState) -> Any:
        paused, self._paused = self._paused, set()
        try:
            return lines_for(self, worker)
        finally:
            self._paused = paused

    patch.setattr(Dispatch, "_lines_for", all_lines)


def draining_is_fed(patch: pytest.MonkeyPatch) -> None:
    """A worker that drains is given leases as before."""

    def takes_work(self: WorkerState) -> bool:
        return self.parked_until is not None and self.confirmed

    patch.setattr(WorkerState, "takes_work", property(takes_work))


def drain_counts_as_failure(patch: pytest.MonkeyPatch) -> None:
    """What a drain interrupted has failed."""
    take = WorkerBook._take_failure

    def counted(
        self: WorkerBook, worker: WorkerState, task: Task, report: Report, now: float, fx: Effects
    ) -> None:
        if report.outcome is Outcome.RELEASED and report.started_at:
            report.outcome = Outcome.FAILED
        take(self, worker, task, report, now, fx)

    patch.setattr(WorkerBook, "_take_failure", counted)


def late_start(patch: pytest.MonkeyPatch) -> None:
    """A worker is not told when a task that it holds expires."""
    from task_queue.core import dispatch

    def timeless(tasks: Iterable[Task], asked_at: float) -> list[Lease]:
        leases = leases_of(tasks, asked_at)
        for lease in leases:
            lease.expires_in_seconds = None
        return leases

    patch.setattr(dispatch, "leases_of", timeless)


def firing_not_saved(patch: pytest.MonkeyPatch) -> None:
    """The task of a firing is saved, and not that the schedule has fired."""
    fire = ScheduleBook._fire

    def unsaved(self: ScheduleBook, schedule: Schedule, now: float, fx: Effects) -> None:
        fire(self, schedule, now, fx)
        fx.changes.schedules.pop(schedule.id)

    patch.setattr(ScheduleBook, "_fire", unsaved)


def overlap_ignored(patch: pytest.MonkeyPatch) -> None:
    """A schedule fires whether its last task has ended or not."""
    from task_queue.core import schedule_book

    patch.setattr(schedule_book, "fires", lambda schedule, now, last_task_is_live: True)


def schedules_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A scheduler that takes over knows of no schedules."""
    patch.setattr(MemoryStore, "schedules", lambda self: [])


def deletion_not_saved(patch: pytest.MonkeyPatch) -> None:
    """A schedule that was deleted comes back with the next scheduler."""
    commit = MemoryStore.commit

    def kept(self: MemoryStore, changes: Changes) -> None:
        for schedule_id in [i for i, s in changes.schedules.items() if s is None]:
            del changes.schedules[schedule_id]
        commit(self, changes)

    patch.setattr(MemoryStore, "commit", kept)


def pruned_too_early(patch: pytest.MonkeyPatch) -> None:
    """Retention is half as long as it is said to be."""
    prune = MemoryStore.prune

    def early(self: MemoryStore, now: float, before: float, surplus: int, limit: int) -> Any:
        return prune(self, now, before + 10.0, surplus, limit)

    patch.setattr(MemoryStore, "prune", early)


def pruned_alive(patch: pytest.MonkeyPatch) -> None:
    """Retention takes the oldest tasks, over or not."""
    prune = MemoryStore.prune

    def blind(self: MemoryStore, now: float, before: float, surplus: int, limit: int) -> Any:
        for seq in [s for s in self._rows if self._task(s).submitted_at < now - 1.0][:1]:
            self._seqs.pop(self._task(seq).spec.id)
            self._rows.pop(seq)
        return prune(self, now, before, surplus, limit)

    patch.setattr(MemoryStore, "prune", blind)


PLANTED: dict[str, tuple[Plant, set[str]]] = {
    "no_fencing": (no_fencing, {"result_without_attempt", "stale_commit", "run_after_end"}),
    "no_epoch": (no_epoch, {"ended_twice", "attempt_order", "run_after_end", "lost"}),
    "forgetful_store": (forgetful_store, {"lost"}),
    "attempts_not_counted": (attempts_not_counted, {"attempt_order"}),
    "keys_ignored": (keys_ignored, {"duplicate_key"}),
    "cancel_only_said": (cancel_only_said, {"run_after_cancel"}),
    "accepted_before_saved": (accepted_before_saved, {"lost", "attempt_order"}),
    "last_in_first_out": (last_in_first_out, {"fifo_inverted"}),
    "newest_page_first": (newest_page_first, {"fifo_inverted"}),
    "priorities_upside_down": (priorities_upside_down, {"priority_inverted"}),
    "pause_ignored": (pause_ignored, {"run_while_paused"}),
    "draining_is_fed": (draining_is_fed, {"run_while_draining"}),
    "drain_counts_as_failure": (drain_counts_as_failure, {"failed_too_soon"}),
    "late_start": (late_start, {"run_after_expiry"}),
    "firing_not_saved": (firing_not_saved, {"fired_twice"}),
    "overlap_ignored": (overlap_ignored, {"fired_overlapping"}),
    "schedules_forgotten": (schedules_forgotten, {"not_fired"}),
    "deletion_not_saved": (deletion_not_saved, {"fired_after_deletion"}),
    "pruned_too_early": (pruned_too_early, {"pruned_early"}),
    "pruned_alive": (pruned_alive, {"pruned_early"}),
}
