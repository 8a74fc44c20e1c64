"""What only a server can do: be killed, keep a connection of the dead, be of another version."""

import gc
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from benchmarks.peers.private_postgres import PrivatePostgres
from task_queue.core.status import Status
from task_queue.store import open_reader, open_store
from task_queue.store.ended_sum import EndedSum
from task_queue.store.postgres import PostgresStore
from task_queue.store.postgres_column import Column
from task_queue.store.postgres_connection import connect
from task_queue.store.postgres_migrations import Step, known_steps, migrate
from task_queue.store.postgres_reader import PostgresReader
from task_queue.store.postgres_text import joined, parted, plain, stored
from task_queue.store.protocol import StaleEpoch, StoreError
from tests.store.databases import (
    NOW,
    NewPostgres,
    a_schedule,
    a_task,
    an_ending,
    an_event,
    dead_letter,
    everything,
    inserted,
)


@pytest.fixture(scope="module")
def server(start_postgres: Callable[[], PrivatePostgres]) -> PrivatePostgres:
    """A server that a test may kill, if it starts it again."""
    return start_postgres()


@pytest.fixture
def url(new_postgres: NewPostgres) -> str:
    return new_postgres()


@pytest.fixture
def postgres(url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(url)
    store.take_over()
    yield store
    store.close()


# ---- durable -------------------------------------------------------------------------------


def test_a_commit_is_forced_to_the_disk_whatever_the_server_s_default(
    postgres: PostgresStore,
) -> None:
    assert list(postgres._rows("SHOW synchronous_commit")) == [("on",)]


def test_what_was_committed_when_the_server_is_killed_is_there(server: PrivatePostgres) -> None:
    store = open_store(server.url)
    epoch = store.take_over()
    first = store.load().next_seq
    told: list[int] = []

    def commit_until_it_fails() -> None:
        seq = first
        while True:
            over = a_task(seq + 1, Status.COMPLETED, attempt=1, finished_at=NOW)
            changes = inserted(a_task(seq), over)
            changes.ended = [an_ending(over)]
            store.commit(changes)
            told.append(seq)
            seq += 2
            if len(told) == 50:
                kill.submit(server.kill)

    with ThreadPoolExecutor(1) as kill, pytest.raises(StoreError) as failed:
        commit_until_it_fails()
    assert not isinstance(failed.value, StaleEpoch)
    with pytest.raises(StoreError):
        store.check_writable()
    store.close()
    server.start()
    again = open_store(server.url)
    assert again.take_over() == epoch + 1
    loaded = again.load()
    live = {task.seq for task in loaded.tasks}
    assert set(told) <= live
    # The commit of which nobody heard is there whole or not at all.
    assert len(live) - len(told) in (0, 1)
    assert loaded.next_seq == first + 2 * len(live)
    assert len(again.results([seq + 1 for seq in live])) == len(live)
    again.commit(inserted(a_task(loaded.next_seq)))
    again.close()


def test_a_reader_goes_on_when_the_server_is_back(server: PrivatePostgres) -> None:
    open_store(server.url).close()
    reader = open_reader(server.url)
    reader.ping()
    server.kill()
    with pytest.raises(StoreError):
        reader.ping()
    server.start()
    reader.ping()
    reader.close()
    with pytest.raises(StoreError):
        reader.ping()


# ---- one writer ----------------------------------------------------------------------------


def test_a_writer_stopped_in_the_middle_of_a_commit_holds_up_nobody_and_saves_nothing(
    postgres: PostgresStore, url: str
) -> None:
    with psycopg.connect(url, autocommit=True) as stopped:
        stopped.execute("BEGIN")
        stopped.execute("SELECT fence(1)")
        stopped.execute("INSERT INTO waiting VALUES (7)")
        newer = PostgresStore(url)
        assert newer.take_over() == 2
        with pytest.raises(psycopg.OperationalError):
            stopped.execute("COMMIT")
    assert list(newer._rows("SELECT * FROM waiting")) == []
    with pytest.raises(StaleEpoch):
        postgres.commit(inserted(a_task(1)))
    newer.close()


def test_queues_in_schemas_of_their_own_do_not_disturb_each_other(
    new_postgres: NewPostgres,
) -> None:
    one, two = (PostgresStore(new_postgres()) for _ in range(2))
    assert (one.take_over(), two.take_over()) == (1, 1)
    one.commit(inserted(a_task(1)))
    two.commit(inserted(a_task(1)))
    one.close()
    two.close()


@pytest.mark.parametrize(
    "table", ["waiting", "states", "completed", "logs", "timeline", "queues", "schedules"]
)
def test_a_row_that_fails_takes_the_whole_commit_with_it(
    postgres: PostgresStore, url: str, table: str
) -> None:
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(f"ALTER TABLE {table} ADD CONSTRAINT no CHECK (false) NOT VALID".encode())
        before = everything(postgres)
        task = a_task(1, Status.COMPLETED, attempt=1)
        changes = inserted(task, a_task(2), dead_letter(3))
        changes.ended, changes.timeline = [an_ending(task, logs="log")], [an_event(1)]
        changes.schedules, changes.queues = {"s": a_schedule("s")}, {"q": True}
        with pytest.raises(StoreError, match="no"):
            postgres.commit(changes)
        assert everything(postgres) == before
        other.execute(f"ALTER TABLE {table} DROP CONSTRAINT no".encode())
    postgres.commit(changes)
    assert postgres.get(task.spec.id) == task


# ---- versions ------------------------------------------------------------------------------


def _upgraded(url: str, *steps: Step) -> None:
    with connect(url, "test", read_only=False) as connection:
        migrate(connection, [*known_steps(), *steps])


def test_old_code_runs_on_a_schema_to_which_a_step_has_added(url: str) -> None:
    first = PostgresStore(url)
    first.take_over()
    first.commit(inserted(a_task(1)))
    more = "ALTER TABLE tasks ADD COLUMN more TEXT; CREATE TABLE others (id BIGINT)"
    _upgraded(url, Step(9001, "more", known_steps()[-1].version, more))
    first.commit(inserted(a_task(2)))  # it went on while the schema changed
    again = PostgresStore(url)
    again.take_over()
    again.commit(inserted(a_task(3)))
    assert [task.seq for task in again.load().tasks] == [1, 2, 3]
    first.close()
    again.close()


def test_code_that_a_step_has_left_behind_is_refused(url: str) -> None:
    PostgresStore(url).close()
    _upgraded(url, Step(9001, "contract", 9001, "DROP TABLE logs"))
    with pytest.raises(StoreError, match=r"newer version \(schema 9001"):
        PostgresStore(url)


def test_a_step_that_fails_leaves_the_schema_as_it_was(url: str) -> None:
    with pytest.raises(StoreError, match="nonsense"):
        _upgraded(url, Step(9001, "bad", 1, "CREATE TABLE half (id BIGINT); nonsense"))
    with psycopg.connect(url) as connection:
        assert connection.execute(
            "SELECT to_regclass('half'), to_regclass('tasks')"
        ).fetchone() == (
            None,
            None,
        )


def test_two_that_migrate_at_the_same_time_apply_each_step_once(url: str) -> None:
    def migrated(_n: int) -> list[str]:
        with connect(url, "test", read_only=False) as connection:
            return migrate(connection)

    with ThreadPoolExecutor(4) as pool:
        applied = [name for names in pool.map(migrated, range(4)) for name in names]
    assert applied == [step.name for step in known_steps()]


def test_a_connection_that_cannot_be_set_up_is_closed(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("task_queue.store.postgres_connection._SESSION", "SELECT 1 / 0")
    with pytest.raises(StoreError, match="division by zero") as failure:
        connect(url, "half-made", read_only=False)
    del failure  # with it goes the connection: one that is open would warn now, which is an error
    gc.collect()


def test_a_reader_cannot_write(postgres: PostgresStore, url: str) -> None:
    reader = PostgresReader(url)
    with pytest.raises(StoreError, match="read-only"):
        reader._rows("DELETE FROM tasks RETURNING seq")
    reader.close()


# ---- secrets, backup -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        "postgresql://me:hunter2@127.0.0.1:1/queue",
        "postgresql://me:hunter2@[/queue",
        "postgresql://me:hunter2@h/queue?nonsense=hunter2",
    ],
)
def test_the_password_is_in_no_error(wrong: str) -> None:
    with pytest.raises(StoreError) as refused:
        open_store(wrong)
    assert "hunter2" not in str(refused.value)


def test_a_wrong_password_is_not_repeated(server: PrivatePostgres) -> None:
    with pytest.raises(StoreError, match="authentication failed") as refused:
        open_store(server.url.replace("postgres:", "postgres:hunter2"))
    assert "hunter2" not in str(refused.value)


def test_a_dump_that_is_restored_is_the_same_queue(server: PrivatePostgres) -> None:
    store = open_store(server.url)
    epoch = store.take_over()
    task = dead_letter(store.load().next_seq, attempt=1, tags=("ä",), arguments=b"\x00")
    changes = inserted(task)
    changes.ended = [an_ending(task, logs="log")]
    changes.schedules = {"s": a_schedule("s")}
    store.commit(changes)
    store.keep_sums({(10, 2): EndedSum(1)}, 30.0)
    before = everything(store)
    dump = subprocess.run(
        [server.programs / "pg_dump", "--format=custom", server.url],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    restored_url = server.url.rpartition("/")[0] + "/restored"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE restored")
    subprocess.run(
        [server.programs / "pg_restore", "--no-owner", f"--dbname={restored_url}"],
        input=dump, check=True,
    )  # fmt: skip
    store.close()
    restored = open_store(restored_url)
    assert everything(restored) == before
    assert restored.take_over() == epoch + 1
    restored.commit(inserted(a_task(task.seq + 1)))
    restored.close()


# ---- texts and columns ---------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "a", "\x00", "\x01\x02\x00", "\x1f\x01", "ß\n\t"])
def test_any_text_is_stored_and_comes_back(text: str) -> None:
    assert "\x00" not in stored(text)
    assert "\x1f" not in stored(text)
    assert plain(stored(text)) == text
    together = joined((text, "x", text))
    assert together is not None
    assert parted(together) == [text, "x", text]


def test_columns_are_what_they_were(url: str) -> None:
    columns = [
        Column("bigint", [1, None, -(2**63)]), Column("integer", [1, 2, 3]),
        Column("double precision", [0.1, 2, None]), Column("boolean", [True, False, None]),
        Column("text", ["ä", None, ""]), Column("bytea", [b"\x00", b"", None]),
        Column("text", []),
    ]  # fmt: skip
    with connect(url, "test", read_only=True) as connection:
        got = connection.execute("SELECT %s, %s, %s, %s, %s, %s, %s", columns).fetchone()
    assert got == tuple(list(column.values) for column in columns)
