"""Brings a PostgreSQL database to the schema that this code knows.

Each file of sql/postgres/ is one step, applied once and in the order of its number. The first line
says which code can run on the schema afterwards: `-- code: 3` means all code whose newest step is 3
or later. During an upgrade old code runs on the new schema for a while, so a step only adds
(expand), and what nobody uses any more is removed by a step of a later release (contract), which
raises that number.
"""

import re
from dataclasses import dataclass
from importlib.resources import files

import psycopg

from task_queue.store.postgres_connection import errors
from task_queue.store.protocol import StoreError

#: Two migrations at the same time wait for each other here.
_LOCK = "SELECT pg_advisory_xact_lock(7461936, 2)"
_TABLE = (
    "CREATE TABLE IF NOT EXISTS schema_steps (version INTEGER PRIMARY KEY, name TEXT NOT NULL, "
    "oldest_code INTEGER NOT NULL, applied_at TIMESTAMPTZ NOT NULL DEFAULT now())"
)


@dataclass(frozen=True)
class Step:
    """One file."""

    version: int
    name: str
    oldest_code: int
    sql: str


def known_steps() -> list[Step]:
    """The steps that came with this code, in order."""
    steps = []
    for file in files("task_queue.store").joinpath("sql/postgres").iterdir():
        named = re.fullmatch(r"(\d{4})_\w+\.sql", file.name)
        if named is None:
            continue
        sql = file.read_text("utf-8")
        code = re.match(r"-- code: (\d+)\n", sql)
        if code is None:
            raise StoreError(f"{file.name}: its first line must be '-- code: NUMBER'")
        steps.append(Step(int(named[1]), file.name, int(code[1]), sql))
    return sorted(steps, key=lambda step: step.version)


def migrate(connection: psycopg.Connection, steps: list[Step] | None = None) -> list[str]:
    """Apply what is missing, all or nothing. Returns the names of the steps that were applied.

    Raises:
        StoreError: the schema is of newer code and this code cannot run on it.
    """
    steps = known_steps() if steps is None else steps
    newest = steps[-1].version
    with errors("migrate"), connection.transaction():
        connection.execute(_LOCK)
        there = connection.execute("SELECT to_regclass('schema_steps') IS NOT NULL").fetchone()
        if there == (False,):
            connection.execute(_TABLE)
        rows = connection.execute("SELECT version, oldest_code FROM schema_steps").fetchall()
        refuse_if_too_new(rows, newest)
        done = {version for version, _ in rows}
        missing = [step for step in steps if step.version not in done]
        for step in missing:
            connection.execute(step.sql.encode())
            connection.execute(
                "INSERT INTO schema_steps (version, name, oldest_code) VALUES (%s, %s, %s)",
                (step.version, step.name, step.oldest_code),
            )
        return [step.name for step in missing]


def refuse_if_too_new(rows: list[tuple[int, int]], newest: int) -> None:
    """Refuse if one of the steps, (version, oldest code), cannot be run on by this code."""
    oldest = max((oldest_code for _, oldest_code in rows), default=0)
    if oldest > newest:
        raise StoreError(
            f"the database was migrated by a newer version (schema {max(rows)[0]}, which needs "
            f"code of schema {oldest} or later; this code knows {newest}): upgrade, or use another "
            "database"
        )
