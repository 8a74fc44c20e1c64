"""The write-ahead log goes back into the file while commits go on, and nothing is lost by it."""

import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import apsw
import pytest

from task_queue.store import sqlite_checkpointer
from task_queue.store.protocol import StoreError
from task_queue.store.query import TaskQuery
from task_queue.store.sqlite import SqliteStore
from tests.store.databases import a_task, inserted
from tests.until import until

_SOME_SECONDS = 30.0
_PAGES = 200  #: instead of 4,000, so that a test is quick
_MORE_PAGES, _MOST_PAGES = 20, 600


@pytest.fixture(autouse=True)
def _short_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_checkpointer, "_PAGES", _PAGES)
    monkeypatch.setattr(sqlite_checkpointer, "_MORE_PAGES", _MORE_PAGES)
    monkeypatch.setattr(sqlite_checkpointer, "_MOST_PAGES", _MOST_PAGES)


class Writing:
    """A store to which tasks are written one after the other, each some pages long."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = SqliteStore(path)
        self.store.take_over()
        self.committed = 0
        self.log_pages: list[int] = []  #: after each commit
        self._seqs = count(1)

    def commit(self) -> None:
        self.store.commit(inserted(a_task(next(self._seqs), arguments=b"x" * 20_000)))
        self.committed += 1
        self.log_pages.append(self.store._checkpointer._pages)

    def commit_until_due(self) -> None:
        """Until the thread has begun, and has done its part."""
        checkpointer = self.store._checkpointer
        while not checkpointer._under_way:
            self.commit()
        until(lambda: checkpointer._is_writers_turn, _SOME_SECONDS, "the thread")

    @property
    def begun_anew(self) -> int:
        """How often the log has."""
        pairs = zip(self.log_pages, self.log_pages[1:], strict=False)
        return sum(after < before for before, after in pairs)


class Reading:
    """Somebody who goes on seeing the tasks of one moment."""

    def __init__(self, path: Path) -> None:
        self._connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        self._connection.execute("BEGIN")
        self.tasks()

    def tasks(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM tasks").get)

    def end(self) -> None:
        self._connection.close()


@pytest.fixture
def writing(tmp_path: Path) -> Iterator[Writing]:
    writing = Writing(tmp_path / "queue.db")
    yield writing
    writing.store.close()


def _tasks_without_log(path: Path) -> int:
    """How many tasks the file has by itself."""
    connection = apsw.Connection(
        f"file:{path}?immutable=1", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    )
    tasks = connection.execute("SELECT count(*) FROM tasks").get
    assert connection.pragma("integrity_check") == "ok"
    connection.close()
    return int(tasks)


def test_what_is_in_the_log_comes_into_the_file_and_the_log_begins_anew(writing: Writing) -> None:
    for times in range(1, 4):
        writing.commit_until_due()
        assert _tasks_without_log(writing.path) == writing.committed
        writing.commit()
        assert writing.begun_anew == times
    assert max(writing.log_pages) < _PAGES + 20


def test_what_the_thread_has_left_is_written_back_by_the_writer(
    writing: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpointer = writing.store._checkpointer
    write_most, more_is_there = checkpointer._write_most, threading.Event()

    def write_later(connection: apsw.Connection) -> None:
        assert more_is_there.wait(_SOME_SECONDS)
        write_most(connection)

    monkeypatch.setattr(checkpointer, "_write_most", write_later)
    while not checkpointer._under_way:
        writing.commit()
    reader = Reading(writing.path)  # beyond what it sees nothing can be written back
    writing.commit()
    writing.commit()
    more_is_there.set()
    until(lambda: checkpointer._is_writers_turn, _SOME_SECONDS, "the thread")
    reader.end()
    writing.commit()
    assert _tasks_without_log(writing.path) == writing.committed - 1
    assert writing.begun_anew == 1


def test_who_reads_keeps_the_log_as_long_as_he_reads(writing: Writing) -> None:
    writing.commit()
    reader = Reading(writing.path)
    assert reader.tasks() == 1
    for _ in range(4):
        writing.commit_until_due()
        writing.commit()
    assert writing.begun_anew == 0
    assert reader.tasks() == 1
    reader.end()
    writing.commit_until_due()
    writing.commit()
    assert writing.begun_anew == 1
    assert len(writing.store.search(TaskQuery(), 1_000)) == writing.committed


def test_a_log_that_cannot_be_written_back_is_told_of_before_it_fills_the_disk(
    writing: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> apsw.Connection:
        raise StoreError("no more files can be opened")

    checkpointer = writing.store._checkpointer
    with monkeypatch.context() as broken:
        broken.setattr(checkpointer, "_connect", refused)
        with pytest.raises(StoreError, match="cannot be written back: no more files"):
            while writing.committed < _MOST_PAGES:
                writing.commit_until_due()
                writing.commit()
        assert _MOST_PAGES <= max(writing.log_pages) < _MOST_PAGES + 2 * _MORE_PAGES
        with pytest.raises(StoreError, match=str(writing.path)):
            writing.commit()
    writing.store.close()

    again = SqliteStore(writing.path)  # as the scheduler does
    assert len(again.search(TaskQuery(), 1_000)) == writing.committed
    again.close()
    assert _tasks_without_log(writing.path) == writing.committed


def test_one_failure_is_no_reason_to_refuse_anything(
    writing: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> apsw.Connection:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as broken:
        broken.setattr(writing.store._checkpointer, "_connect", refused)
        writing.commit_until_due()
        writing.commit()
    assert writing.begun_anew == 0
    writing.commit_until_due()
    writing.commit()
    assert writing.begun_anew == 1


def test_a_moment_in_which_the_head_of_the_log_is_changed_is_no_failure(
    writing: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Busy:
        """As SQLite says of a head that two reads found different."""

        def wal_checkpoint(self, mode: int) -> tuple[int, int]:
            raise apsw.BusyError(mode)

        def close(self) -> None:
            """Nothing was opened."""

    monkeypatch.setattr(writing.store._checkpointer, "_open", Busy)
    writing.commit_until_due()
    assert writing.store._checkpointer._failure is None
    writing.commit()  # the writer does it all
    assert writing.begun_anew == 1


def test_an_end_in_the_middle_of_it(tmp_path: Path) -> None:
    for number in range(20):
        writing = Writing(tmp_path / f"{number}.db")
        while not writing.store._checkpointer._under_way:
            writing.commit()
        writing.store.close()
        assert _tasks_without_log(writing.path) == writing.committed
