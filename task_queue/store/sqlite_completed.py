"""Tasks that simply completed as rows of the SQLite file, and how long their results are kept.

Tasks that completed in one turn often stand in sequence and have all but start and result in
common. When they ended is told by one row of `completed_runs`, and when their results go by one of
`result_runs`, instead of by index entries for each; if even the results are alike, one statement
writes all rows. Together that takes less than half of what they take one by one.
"""

from array import array
from collections.abc import Collection, Iterator, Sequence
from itertools import count, groupby
from operator import attrgetter, sub
from typing import Any, cast

import apsw
from msgspec import Struct

from task_queue.core.task import Task
from task_queue.store.placement import NO_RESULT
from task_queue.store.seq_ranges import ranges_of

_ONE = "INSERT INTO completed VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_ALIKE = "INSERT INTO completed SELECT ? + rowid, ?, ?, ?, value, ?, NULL, ? FROM carray(?)"
_KEEP_UNTIL = "INSERT INTO result_runs VALUES (?, ?, ?)"
_ENDED = "INSERT INTO completed_runs VALUES (?, ?, ?)"
#: Fewer are written one by one.
_FEW = 8
#: What is left of none of those that ended at a time.
_FORGET_ENDED = (
    "DELETE FROM completed_runs WHERE finished_at = ? AND NOT EXISTS "
    "(SELECT 1 FROM completed WHERE seq BETWEEN first_seq AND last_seq)"
)
#: The runs that reach into a range of tasks, if nothing is left of them.
_FORGET_RUNS = (
    "DELETE FROM result_runs WHERE first_seq <= ?2 AND first_seq >= coalesce((SELECT first_seq "
    "FROM result_runs WHERE first_seq <= ?1 ORDER BY first_seq DESC LIMIT 1), ?1) AND NOT EXISTS "
    "(SELECT 1 FROM completed WHERE seq BETWEEN first_seq AND last_seq)"
)

_seq_of = attrgetter("seq")
_shared_of = attrgetter("attempt", "worker_id", "claimed_at", "finished_at")


class _Run(Struct):
    """Tasks in sequence."""

    tasks: list[Task]
    shared: tuple[int, str | None, float | None, float]  #: attempt, worker, claimed, finished
    until: float | None  #: when their results go; None: there are none
    results: list[bytes | None]


def insert_completed(
    connection: apsw.Connection, tasks: Sequence[Task], results: dict[int, tuple[float, bytes]]
) -> None:
    """Write how tasks completed, inside a transaction.

    Args:
        results: of those that have one, by seq: until when it is kept, and the result.
    """
    ended: list[tuple[float, int, int]] = []
    for run in _runs(tasks, results):
        until, is_short = run.until, len(run.tasks) < _FEW
        first, last = run.tasks[0].seq, run.tasks[-1].seq
        if until is not None and not is_short:
            connection.execute(_KEEP_UNTIL, (first, last, until))
            until = None
        attempt, worker_id, claimed_at, finished_at = run.shared
        ended.append((finished_at, first, last))
        starts = [task.started_at for task in run.tasks]
        result = run.results[0]
        if is_short or None in starts or run.results.count(result) < len(run.tasks):
            rows = zip(run.tasks, starts, run.results, strict=True)
            connection.executemany(
                _ONE,
                (
                    (task.seq, attempt, worker_id, claimed_at, start, finished_at, until, result)
                    for task, start, result in rows
                ),
            )
        else:
            binding = apsw.carray(array("d", starts))
            values = first - 1, attempt, worker_id, claimed_at, finished_at, result, binding
            connection.execute(_ALIKE, values)
    connection.executemany(_ENDED, ended)


def _runs(tasks: Sequence[Task], results: dict[int, tuple[float, bytes]]) -> Iterator[_Run]:
    tasks = sorted(tasks, key=_seq_of)
    seqs = [task.seq for task in tasks]
    kept = [results.get(seq, NO_RESULT) for seq in seqs]
    gaps = map(sub, seqs, count())  # the same for numbers that follow each other
    untils = [until for until, _ in kept]
    shared = list(map(_shared_of, tasks))
    if tasks and _is_one_run(seqs, shared, untils):
        yield _Run(tasks, shared[0], untils[0], [result for _, result in kept])
        return
    begin = 0
    for (_, alike, until), group in groupby(zip(gaps, shared, untils, strict=True)):
        end = begin + len(list(group))
        yield _Run(tasks[begin:end], alike, until, [result for _, result in kept[begin:end]])
        begin = end


def _is_one_run(seqs: list[int], shared: list[tuple[Any, ...]], untils: list[float | None]) -> bool:
    """Whether it need not be asked task by task: so it is in most turns."""
    length = len(seqs)
    return (
        seqs[-1] - seqs[0] == length - 1
        and shared.count(shared[0]) == length
        and untils.count(untils[0]) == length
    )


def prune_results(connection: apsw.Connection, now: float, limit: int) -> int:
    """Forget at most so many results that are past their time, inside a transaction.

    Returns:
        How many.
    """
    connection.execute(
        "UPDATE completed SET result_until = NULL, result = NULL WHERE seq IN (SELECT "
        "seq FROM completed WHERE result_until <= ? ORDER BY result_until LIMIT ?)",
        (now, limit),
    )
    pruned = connection.changes()
    room = limit - pruned
    runs = connection.execute(
        "SELECT first_seq, last_seq, until FROM result_runs WHERE until <= ? ORDER BY until "
        "LIMIT ?",
        (now, room),
    )
    for first, last, until in cast("list[tuple[int, int, float]]", runs.fetchall()):
        if room <= 0:
            break
        cut = min(last, first + room - 1)
        connection.execute(
            "UPDATE completed SET result = NULL WHERE seq BETWEEN ? AND ?", (first, cut)
        )
        room -= cut - first + 1
        pruned += connection.changes()
        connection.execute("DELETE FROM result_runs WHERE first_seq = ?", (first,))
        if cut < last:
            connection.execute(_KEEP_UNTIL, (cut + 1, last, until))
    return pruned


def forget_runs(
    connection: apsw.Connection, seqs: Sequence[int], finished_at: Collection[float]
) -> None:
    """Of completed tasks that are gone: nothing is left to be told of their results and endings.

    Args:
        seqs: the tasks.
        finished_at: when they ended.
    """
    connection.executemany(_FORGET_RUNS, ranges_of(seqs))
    connection.executemany(_FORGET_ENDED, ((at,) for at in finished_at))
