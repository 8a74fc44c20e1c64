"""What the scheduler does not keep in memory, as rows of PostgreSQL: see sqlite_paging.py."""

from collections.abc import Iterator

import psycopg

from task_queue.core.effects import Changes
from task_queue.store.postgres_column import Column, Kind
from task_queue.store.postgres_pipeline import Statement
from task_queue.store.postgres_text import stored
from task_queue.store.seq_ranges import line_ranges_of
from task_queue.store.task_row import OF_LINE

#: Of waiting tasks: memory keeps it. No seq is in two runs, so one run is to be looked at.
KEPT = (
    "coalesce((SELECT last_seq FROM paged_runs WHERE first_seq <= seq "
    "ORDER BY first_seq DESC LIMIT 1), -1) < seq"
)
#: The values of a PagedOut, for each line.
PAGED_OUT = (
    "SELECT line.queue, line.priority, count, first_seq, submitted_at FROM (SELECT queue, priority,"
    " sum(last_seq - first_seq + 1)::bigint AS count, min(first_seq) AS first_seq FROM paged_runs "
    "GROUP BY queue, priority) AS line JOIN tasks ON tasks.seq = first_seq"
)
# The first runs of the line, as many as a page may have tasks, less those that come after a whole
# page. Bytes are summed up there: what is beyond the limit is not even sent. OFFSET 0: run by run,
# by the index of `tasks`. Else PostgreSQL with statistics compares each task with each run.
_PAGE = (
    f"SELECT arguments, {', '.join(OF_LINE)} FROM (SELECT task.*, "
    "sum(octet_length(arguments)) OVER line AS bytes, row_number() OVER line AS place "
    "FROM (SELECT first_seq, last_seq, sum(last_seq - first_seq + 1) OVER (ORDER BY first_seq) "
    "- (last_seq - first_seq + 1) AS before FROM paged_runs WHERE queue = %s AND priority = %s "
    "ORDER BY first_seq LIMIT %s) AS run CROSS JOIN LATERAL (SELECT * FROM tasks WHERE seq "
    "BETWEEN run.first_seq AND least(run.last_seq, run.first_seq + %s - 1) OFFSET 0) AS task "
    "WHERE run.before < %s WINDOW line AS (ORDER BY task.seq)) AS paged "
    "WHERE place <= %s AND (place = 1 OR bytes <= %s) ORDER BY seq"
)
_PAGE_OUT = (
    "INSERT INTO paged_runs (queue, priority, first_seq, last_seq) "
    "SELECT unnest(%s), unnest(%s), unnest(%s), unnest(%s)"
)
_KINDS: tuple[Kind, ...] = ("text", "integer", "bigint", "bigint")
_KEEP_BEHIND = (
    "INSERT INTO paged_runs (queue, priority, first_seq, last_seq) "
    "SELECT queue, priority, %s::bigint + 1, last_seq FROM paged_runs WHERE last_seq > %s AND "
    "first_seq = (SELECT max(first_seq) FROM paged_runs "
    "WHERE queue = %s AND priority = %s AND first_seq <= %s)"
)
_KEEP_BEFORE = (
    "UPDATE paged_runs SET last_seq = %s::bigint - 1 WHERE last_seq >= %s AND "
    "first_seq = (SELECT max(first_seq) FROM paged_runs "
    "WHERE queue = %s AND priority = %s AND first_seq < %s)"
)
_CUT_OUT = (
    "DELETE FROM paged_runs WHERE queue = %s AND priority = %s AND first_seq BETWEEN %s AND %s"
)
# OFFSET 0: as above, of `waiting`.
_WAITING_OF_RUNS = (
    "paged_runs CROSS JOIN LATERAL "
    "(SELECT seq FROM waiting WHERE seq BETWEEN first_seq AND last_seq OFFSET 0) AS task"
)
_ALL_WAIT = (
    f"SELECT (SELECT count(*) FROM {_WAITING_OF_RUNS}) = "
    "(SELECT coalesce(sum(last_seq - first_seq + 1), 0) FROM paged_runs)"
)
_ROWS_TO_RUNS = (
    "INSERT INTO paged_runs (queue, priority, first_seq, last_seq) "
    "SELECT queue, priority, min(seq), max(seq) FROM (SELECT queue, priority, seq, seq - "
    "row_number() OVER (PARTITION BY queue, priority ORDER BY seq) AS place FROM paged_out) AS row "
    "GROUP BY queue, priority, place"
)


def page_query(queue: str, priority: int, limit: int, most_bytes: int) -> Statement:
    """What reads the oldest tasks of a line: arguments and OF_LINE."""
    return _PAGE, (stored(queue), priority, limit, limit, limit, limit, most_bytes)


def paging_statements(changes: Changes) -> Iterator[Statement]:
    """What writes what was paged out and what came in."""
    if changes.paged_out:
        runs = line_ranges_of(changes.paged_out)
        queues, *rest = zip(*runs, strict=True)
        columns = (tuple(map(stored, queues)), *rest)
        yield _PAGE_OUT, tuple(map(Column, _KINDS, columns))
    for queue, priority, first, last in changes.paged_in:
        line = stored(queue), priority
        yield _KEEP_BEHIND, (last, last, *line, last)
        yield _KEEP_BEFORE, (first, first, *line, first)
        yield _CUT_OUT, (*line, first, last)


def adopt_paging(connection: psycopg.Connection) -> None:
    """Take over what older code left, inside a transaction.

    It knows no runs: it ran some of their tasks, and has a row in `paged_out` for each task.
    """
    if connection.execute(_ALL_WAIT.encode()).fetchone() == (False,):
        rows = f"INSERT INTO paged_out SELECT queue, priority, seq FROM {_WAITING_OF_RUNS}"
        connection.execute(rows.encode())
        connection.execute("DELETE FROM paged_runs")
    connection.execute(
        "DELETE FROM paged_out WHERE NOT EXISTS "
        "(SELECT 1 FROM waiting WHERE waiting.seq = paged_out.seq)"
    )
    connection.execute(_ROWS_TO_RUNS.encode())
    connection.execute("DELETE FROM paged_out")
