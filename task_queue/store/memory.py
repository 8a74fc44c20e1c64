"""A store that forgets everything with its process: for tests, the users' own included.

It keeps encoded copies, so that nobody can change what was committed, and it follows the same suite
as the durable stores.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from itertools import islice

import msgspec

from task_queue.core.effects import Changes, TimelineEvent
from task_queue.core.machine import Loaded
from task_queue.core.paged_out import PagedOut
from task_queue.core.schedule import Schedule
from task_queue.core.status import TERMINAL, Status
from task_queue.core.task import Task
from task_queue.core.worker import WorkerInfo
from task_queue.store.ended_sum import LEVELS, EndedSum, EndedTask, Sums
from task_queue.store.protocol import KEPT_REQUESTS, Cursor, Pruned, StaleEpoch, StoreError
from task_queue.store.query import Pool, Tally, TaskQuery
from task_queue.tasks import TaskType

_encode = msgspec.msgpack.Encoder().encode


class MemoryStore:
    """Store and Reader over plain dicts."""

    def __init__(self) -> None:
        self._rows: dict[int, bytes] = {}  #: seq to the encoded task
        self._seqs: dict[str, int] = {}  #: id to seq
        self._keys: dict[str, str] = {}  #: idempotency key to id
        self._results: dict[int, tuple[float, bytes]] = {}  #: seq to (expiry, JSON)
        self._logs: dict[int, list[tuple[int, str]]] = {}
        self._timeline: dict[int, list[TimelineEvent]] = {}
        self._requests: dict[str, int] = {}
        self._tallies: dict[tuple[str, str, str], int] = {}
        self._paused: dict[str, bool] = {}
        self._workers: dict[str, bytes] = {}
        self._schedules: dict[str, bytes] = {}
        self._pools: list[Pool] = []
        self._types: dict[str, TaskType] = {}
        self._paged_out: set[tuple[str, int, int]] = set()  #: (queue, priority, seq)
        self._sums: dict[tuple[int, int], bytes] = {}  #: (seconds, number) to the encoded sum
        self._meta = {"epoch": 0, "next_seq": 1, "summed_until": 0}
        self._epoch = 0  #: of this connection; the newest one is in _meta
        #: Called at the start of every commit; a test raises StoreError from it.
        self.before_commit: Callable[[], None] = lambda: None

    def connect(self) -> "MemoryStore":
        """Another connection to the same data, as a second scheduler would have."""
        other = copy(self)
        other._epoch = 0
        return other

    # ---- writing ---------------------------------------------------------------------------

    def take_over(self) -> int:
        self._meta["epoch"] += 1
        self._epoch = self._meta["epoch"]
        # Code that does not know of paging leaves the marks of tasks that it ran.
        gone = [e for e in self._paged_out if self._task(e[2]).status is not Status.QUEUED]
        self._paged_out.difference_update(gone)
        return self._epoch

    def check_writable(self) -> None:
        self.before_commit()
        self._refuse_if_stale()

    def load(self) -> Loaded:
        away = {seq for _, _, seq in self._paged_out}
        tasks = (self._task(seq) for seq in sorted(self._rows) if seq not in away)
        return Loaded(
            [task for task in tasks if task.status not in TERMINAL],
            self._meta["next_seq"],
            [queue for queue, paused in self._paused.items() if paused],
            [info for info in self.workers() if info.ended_at is None],
            self.schedules(),
            {info.worker_id: info for info in self.workers() if info.ended_at is not None},
            [
                PagedOut(*line, len(seqs), seqs[0], self._task(seqs[0]).submitted_at)
                for line, seqs in self._paged_lines().items()
            ],
            list({queue for queue, _, _ in self._tallies}),
        )

    def page(self, queue: str, priority: int, limit: int, most_bytes: int) -> list[Task]:
        page: list[Task] = []
        for seq in self._paged_lines().get((queue, priority), [])[:limit]:
            task = self._task(seq)
            most_bytes -= len(task.spec.arguments)
            if page and most_bytes < 0:
                break
            page.append(task)
        return page

    def _paged_lines(self) -> dict[tuple[str, int], list[int]]:
        """The seqs of what is paged out, in order, by queue and priority."""
        lines: dict[tuple[str, int], list[int]] = {}
        for queue, priority, seq in sorted(self._paged_out):
            lines.setdefault((queue, priority), []).append(seq)
        return lines

    def known(self, ids: Iterable[str], keys: Iterable[str]) -> dict[str, str]:
        found = {task_id: task_id for task_id in ids if task_id in self._seqs}
        found.update({key: self._keys[key] for key in keys if key in self._keys})
        return found

    def arguments(self, seqs: Sequence[int]) -> dict[int, bytes]:
        return {seq: self._task(seq).spec.arguments for seq in seqs if seq in self._rows}

    def commit(self, changes: Changes) -> None:
        self.before_commit()
        self._refuse_if_stale()
        # All that can fail comes first, so that a commit that fails leaves nothing behind.
        self._refuse_if_taken(changes.inserted)
        changed = (*changes.inserted, *changes.touched.values())
        rows = {task.seq: _encode(task) for task in changed}
        workers = {worker_id: _encode(info) for worker_id, info in changes.workers.items()}
        schedules = {i: _encode(s) for i, s in changes.schedules.items() if s is not None}
        for task in changes.inserted:
            self._seqs[task.spec.id] = task.seq
            if task.spec.idempotency_key is not None:
                self._keys[task.spec.idempotency_key] = task.spec.id
            self._meta["next_seq"] = max(self._meta["next_seq"], task.seq + 1)
        self._rows.update(rows)
        self._save_paging(changes)
        self._save_attempts(changes)
        for event in changes.timeline:
            self._timeline.setdefault(event.seq, []).append(event)
        for key, count in changes.tallies.items():
            self._tallies[key] = self._tallies.get(key, 0) + count
        self._requests.update(changes.requests)
        self._paused.update(changes.queues)
        for queue in [queue for queue, paused in self._paused.items() if not paused]:
            del self._paused[queue]
        self._workers.update(workers)
        for schedule_id in changes.schedules:
            self._schedules.pop(schedule_id, None)
        self._schedules.update(schedules)

    def _save_paging(self, changes: Changes) -> None:
        self._paged_out |= {(t.spec.queue, t.spec.priority, t.seq) for t in changes.paged_out}
        for queue, priority, first, last in changes.paged_in:
            self._paged_out.difference_update(
                [e for e in self._paged_out if e[:2] == (queue, priority) and first <= e[2] <= last]
            )

    def _refuse_if_stale(self) -> None:
        if self._epoch != self._meta["epoch"]:
            raise StaleEpoch(f"epoch {self._epoch} was followed by {self._meta['epoch']}")

    def _refuse_if_taken(self, inserted: Sequence[Task]) -> None:
        """As the unique indexes of a database: a task that is there already is a bug elsewhere."""
        taken: set[tuple[str, str | int | None]] = set()
        for task in inserted:
            task_id, seq, key = task.spec.id, task.seq, task.spec.idempotency_key
            marks: set[tuple[str, str | int | None]] = {("id", task_id), ("seq", seq)}
            if key is not None:
                marks.add(("key", key))
            stored = task_id in self._seqs or seq in self._rows or key in self._keys
            if stored or not marks.isdisjoint(taken):
                raise StoreError(f"task {task_id} (seq {seq}, key {key}) is there already")
            taken |= marks

    def _save_attempts(self, changes: Changes) -> None:
        for task, report in changes.ended:
            if report.logs:
                self._logs.setdefault(task.seq, []).append((task.attempt_shown, report.logs))
            if report.result is not None and task.finished_at is not None:
                expiry = task.finished_at + task.spec.result_ttl_seconds
                self._results[task.seq] = (expiry, report.result)

    def begin_commit(self, changes: Changes) -> None:
        self.commit(changes)

    def delete(self, seqs: Sequence[int]) -> int:
        self._refuse_if_stale()
        doomed = [s for s in seqs if s in self._rows and self._task(s).status in TERMINAL]
        for seq in doomed:
            spec = self._task(seq).spec
            del self._rows[seq], self._seqs[spec.id]
            if spec.idempotency_key is not None:
                del self._keys[spec.idempotency_key]
            for table in (self._results, self._logs, self._timeline):
                table.pop(seq, None)
        return len(doomed)

    def declare(self, pools: Sequence[Pool], task_types: Sequence[TaskType]) -> None:
        self._refuse_if_stale()
        self._pools[:] = sorted(pools, key=lambda pool: pool.name)
        self._types.update({t.name: t for t in task_types})

    def keep_sums(self, sums: Sums, until: float) -> None:
        self._refuse_if_stale()
        self._sums.update({key: _encode(part) for key, part in sums.items()})
        oldest = {level.seconds: level.first_kept(until) for level in LEVELS}
        for seconds, number in list(self._sums):
            if number < oldest[seconds]:
                del self._sums[seconds, number]
        self._meta["summed_until"] = int(until)

    def answered(self, request_id: str) -> int | None:
        return self._requests.get(request_id)

    def count_ended(self) -> int:
        return sum(task.status in TERMINAL for task in self._all())

    def prune_workers(self, ended_before: float) -> int:
        self._refuse_if_stale()
        old = [i.worker_id for i in self.workers() if (i.ended_at or ended_before) < ended_before]
        for worker_id in old:
            del self._workers[worker_id]
        return len(old)

    def prune(self, now: float, ended_before: float, surplus: int, limit: int) -> Pruned:
        self._refuse_if_stale()
        for request_id in list(self._requests)[:-KEPT_REQUESTS]:
            del self._requests[request_id]
        expiries = sorted((expiry, seq) for seq, (expiry, _) in self._results.items())
        stale = [seq for expiry, seq in expiries if expiry <= now][:limit]
        for seq in stale:
            del self._results[seq]
        ended = sorted((t.finished_at, t.seq) for t in self._all() if t.finished_at is not None)
        old = [seq for finished_at, seq in ended if finished_at < ended_before]
        oldest = [seq for _, seq in ended][: max(len(old), surplus)]
        return Pruned(self.delete(oldest[:limit]), len(stale))

    # ---- reading ---------------------------------------------------------------------------

    def get(self, task_id: str) -> Task | None:
        seq = self._seqs.get(task_id)
        return None if seq is None else self._task(seq)

    def find(self, task_ids: Sequence[str]) -> dict[str, Task]:
        return {i: self._bare(self._seqs[i]) for i in task_ids if i in self._seqs}

    def results(self, seqs: Sequence[int]) -> dict[int, bytes]:
        return {seq: self._results[seq][1] for seq in seqs if seq in self._results}

    def timeline(self, seq: int) -> list[TimelineEvent]:
        return list(self._timeline.get(seq, []))

    def logs(self, seq: int) -> list[tuple[int, str]]:
        return list(self._logs.get(seq, []))

    def search(self, query: TaskQuery, limit: int) -> list[Task]:
        newest_first = sorted(self._all(), key=lambda task: -task.seq)
        found: list[Task] = []
        for task in newest_first:
            if len(found) == limit:
                break
            if _matches(task, query):
                found.append(task)
        return found

    def bounded(self, query: TaskQuery) -> TaskQuery:
        return query

    def reach(self, query: TaskQuery, most: int) -> int:
        floor = query.from_seq or 0
        seqs = [
            seq
            for seq in sorted(self._rows, reverse=True)
            if floor <= seq and (query.before_seq is None or seq < query.before_seq)
        ]
        return seqs[most] + 1 if len(seqs) > most else floor

    def ended_after(self, cursor: Cursor, limit: int) -> list[Task]:
        ended = sorted(
            ((t.finished_at, t.seq, t) for t in self._all() if t.finished_at is not None),
            key=lambda entry: entry[:2],
        )
        return [task for at, seq, task in ended if (at, seq) > cursor][:limit]

    def last_ended(self) -> Cursor:
        ended = [(t.finished_at, t.seq) for t in self._all() if t.finished_at is not None]
        return max(ended, default=(0.0, 0))

    def tallies(self) -> list[Tally]:
        return [Tally(*key, count) for key, count in sorted(self._tallies.items())]

    def ended(self, after: Cursor, until: float, limit: int) -> list[EndedTask]:
        ended = sorted(
            (EndedTask.of(t) for t in self._all() if t.finished_at is not None),
            key=lambda task: (task.finished_at, task.seq),
        )
        wanted = (t for t in ended if after < (t.finished_at, t.seq) and t.finished_at < until)
        return list(islice(wanted, limit))

    def sums(self, seconds: int, first: int, beyond: int) -> dict[int, EndedSum]:
        kept = ((n, raw) for (s, n), raw in self._sums.items() if s == seconds)
        decode = msgspec.msgpack.Decoder(EndedSum).decode
        return {n: decode(raw) for n, raw in sorted(kept) if first <= n < beyond}

    def summed_until(self) -> float:
        return float(self._meta["summed_until"])

    def workers(self) -> list[WorkerInfo]:
        rows = sorted(self._workers.items())
        return [msgspec.msgpack.decode(raw, type=WorkerInfo) for _, raw in rows]

    def schedules(self) -> list[Schedule]:
        rows = sorted(self._schedules.items())
        return [msgspec.msgpack.decode(raw, type=Schedule) for _, raw in rows]

    def pools(self) -> list[Pool]:
        return list(self._pools)

    def task_types(self) -> list[TaskType]:
        return [self._types[name] for name in sorted(self._types)]

    def ping(self) -> None:
        """Memory always answers."""

    def close(self) -> None:
        """Nothing to let go of: what was committed stays with the object."""

    def _all(self) -> list[Task]:
        return [self._bare(seq) for seq in self._rows]

    def _task(self, seq: int) -> Task:
        return msgspec.msgpack.decode(self._rows[seq], type=Task)

    def _bare(self, seq: int) -> Task:
        task = self._task(seq)
        task.spec.arguments = b""
        return task


def _matches(task: Task, query: TaskQuery) -> bool:
    spec = task.spec
    error = f"{task.error.type} {task.error.message}".lower() if task.error else ""
    haystack = " ".join((spec.id, spec.name, *spec.tags, error)).lower()
    return (
        (not query.statuses or task.status in query.statuses)
        and query.queue in (None, spec.queue)
        and query.name in (None, spec.name)
        and query.in_dlq in (None, task.in_dlq)
        and query.worker_id in (None, task.worker_id)
        and (query.tag is None or query.tag in spec.tags)
        and (query.error is None or (task.error is not None and query.error.lower() in error))
        and (query.text is None or query.text.lower() in haystack)
        and (query.from_seq is None or task.seq >= query.from_seq)
        and (query.submitted_from is None or task.submitted_at >= query.submitted_from)
        and (query.submitted_to is None or task.submitted_at < query.submitted_to)
        and (query.before_seq is None or task.seq < query.before_seq)
    )
