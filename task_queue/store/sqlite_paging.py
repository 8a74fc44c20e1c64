"""What the scheduler does not keep in memory, as rows of the SQLite file.

Tasks of one line that were accepted one after the other are mostly paged out together, so a row of
`paged_runs` tells of a whole run of them. All tasks of a run wait: what comes in, or ends while it
is paged out, is cut out of its run in the same transaction.
"""

import apsw

from task_queue.core.effects import Changes
from task_queue.store.seq_ranges import line_ranges_of
from task_queue.store.sqlite_reader import ARGUMENTS
from task_queue.store.task_row import OF_LINE

#: Of waiting tasks `v`: memory keeps it. No seq is in two runs, so one run is to be looked at.
KEPT = (
    "NOT EXISTS (SELECT 1 FROM paged_runs WHERE last_seq >= v.seq AND first_seq = "
    "(SELECT max(first_seq) FROM paged_runs WHERE first_seq <= v.seq))"
)
#: The values of a PagedOut, for each line.
PAGED_OUT = (
    "SELECT queue, priority, count, first_seq, (SELECT submitted_at FROM tasks WHERE seq = "
    "first_seq) FROM (SELECT queue, priority, sum(last_seq - first_seq + 1) AS count, "
    "min(first_seq) AS first_seq FROM paged_runs GROUP BY queue, priority)"
)
#: The first runs of a line, as many as a page may have tasks.
RUNS = (
    "SELECT first_seq, last_seq FROM paged_runs WHERE queue = ? AND priority = ? "
    "ORDER BY first_seq LIMIT ?"
)
#: The tasks of those up to one: arguments and OF_LINE.
PAGE = (
    f"SELECT {ARGUMENTS}, {', '.join(f'v.{column}' for column in OF_LINE)} FROM paged_runs AS run "
    "CROSS JOIN tasks AS v ON v.seq BETWEEN run.first_seq AND run.last_seq "
    "WHERE run.queue = ? AND run.priority = ? AND run.first_seq <= ? "
    "ORDER BY run.first_seq, v.seq LIMIT ?"
)
_PAGE_OUT = "INSERT INTO paged_runs (queue, priority, first_seq, last_seq) VALUES (?, ?, ?, ?)"
#: What comes in, (queue, priority, first, last), is cut out: what is behind it in its last run
#: becomes one, what is before it in its first run stays one, and what began within it goes.
_KEEP_BEHIND = (
    "INSERT INTO paged_runs (queue, priority, first_seq, last_seq) "
    "SELECT queue, priority, ?4 + 1, last_seq FROM paged_runs WHERE last_seq > ?4 AND first_seq = "
    "(SELECT max(first_seq) FROM paged_runs WHERE queue = ?1 AND priority = ?2 AND first_seq <= ?4)"
)
_KEEP_BEFORE = (
    "UPDATE paged_runs SET last_seq = ?3 - 1 WHERE last_seq >= ?3 AND first_seq = "
    "(SELECT max(first_seq) FROM paged_runs WHERE queue = ?1 AND priority = ?2 AND first_seq < ?3)"
)
_CUT_OUT = (
    "DELETE FROM paged_runs WHERE queue = ?1 AND priority = ?2 AND first_seq BETWEEN ?3 AND ?4"
)
_WAITING_OF_RUNS = "paged_runs CROSS JOIN waiting ON waiting.seq BETWEEN first_seq AND last_seq"
_ROWS_TO_RUNS = (
    "INSERT INTO paged_runs (queue, priority, first_seq, last_seq) "
    "SELECT queue, priority, min(seq), max(seq) FROM (SELECT queue, priority, seq, "
    "seq - row_number() OVER (PARTITION BY queue, priority ORDER BY seq) AS place FROM paged_out) "
    "GROUP BY queue, priority, place"
)


def save_paging(connection: apsw.Connection, changes: Changes) -> None:
    """Write what was paged out and what came in, inside a transaction."""
    if changes.paged_out:
        connection.executemany(_PAGE_OUT, line_ranges_of(changes.paged_out))
    for line in changes.paged_in:
        connection.execute(_KEEP_BEHIND, line)
        connection.execute(_KEEP_BEFORE, line[:3])
        connection.execute(_CUT_OUT, line)


def adopt_paging(connection: apsw.Connection) -> None:
    """Take over what older code left, inside a transaction.

    It knows no runs: it ran some of their tasks, and has a row in `paged_out` for each task.
    """
    all_wait = (
        f"SELECT (SELECT count(*) FROM {_WAITING_OF_RUNS}) = "
        "(SELECT coalesce(sum(last_seq - first_seq + 1), 0) FROM paged_runs)"
    )
    if connection.execute(all_wait).fetchall() == [(0,)]:
        connection.execute(
            f"INSERT INTO paged_out SELECT queue, priority, seq FROM {_WAITING_OF_RUNS}"
        )
        connection.execute("DELETE FROM paged_runs")
    connection.execute("DELETE FROM paged_out WHERE seq NOT IN (SELECT seq FROM waiting)")
    connection.execute(_ROWS_TO_RUNS)
    connection.execute("DELETE FROM paged_out")
