"""The write-ahead log goes back into the file while commits go on, and nothing is lost by it."""

import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

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
    monkeypatch.setattr(sqlite_checkpointer, "_lost", {})


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
    def refused(_path: Path, _connection: apsw.Connection) -> bool:
        raise apsw.IOError("disk I/O error")

    with monkeypatch.context() as broken:
        broken.setattr(sqlite_checkpointer, "_write_back", refused)
        with pytest.raises(StoreError, match="cannot be written back: disk I/O error"):
            while writing.committed < _MOST_PAGES:
                writing.commit_until_due()
                writing.commit()
        assert _MOST_PAGES <= max(writing.log_pages) < _MOST_PAGES + 2 * _MORE_PAGES
        with pytest.raises(StoreError, match=str(writing.path)):
            writing.commit()
        reader = Reading(writing.path)  # or the last one to close it would write it back
        writing.store.close()
        with pytest.raises(StoreError, match="cannot be written back"):
            SqliteStore(writing.path)  # as the scheduler does
        reader.end()
    writing.store = SqliteStore(writing.path)
    writing.store.take_over()
    writing.commit()
    assert len(writing.store.search(TaskQuery(), 1_000)) == writing.committed


def _no_more_threads(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def _no_more_files() -> apsw.Connection:
    raise StoreError("too many open files")


def _no_folder_of_descriptors(path: Path) -> set[int]:
    raise FileNotFoundError(f"/dev/fd, for {path}")


@pytest.mark.parametrize(
    ("where", "broken"),
    [
        ("threading.Thread.start", _no_more_threads),
        ("writing.store._checkpointer._connect", _no_more_files),
        ("task_queue.store.sqlite_checkpointer._descriptors", _no_folder_of_descriptors),
    ],
)
def test_without_the_thread_the_writer_does_it_and_says_so(
    writing: Writing, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    where: str, broken: Callable[..., Any],
) -> None:  # fmt: skip
    with monkeypatch.context() as breaking:
        if where.startswith("writing"):
            breaking.setattr(writing.store._checkpointer, "_connect", broken)
        else:
            breaking.setattr(where, broken)
        for times in (1, 2):
            writing.commit_until_due()
            writing.commit()
            assert caplog.text.count("is written back between two turns") == times
            assert writing.begun_anew == times
            assert _tasks_without_log(writing.path) == writing.committed - 1
    caplog.clear()
    writing.commit_until_due()
    writing.commit()
    assert (writing.begun_anew, caplog.text) == (3, "")


def test_a_file_that_was_replaced_by_another_one_is_left_alone(
    writing: Writing, caplog: pytest.LogCaptureFixture
) -> None:
    writing.commit()
    moved = writing.path.rename(writing.path.with_name("moved.db"))
    writing.path.write_text("something else")
    writing.commit_until_due()
    writing.commit()
    assert "was replaced by another file" in caplog.text
    assert writing.path.read_text() == "something else"
    assert _tasks_without_log(moved) == writing.committed - 1
    assert writing.path.with_name("queue.db-wal").exists()


def test_what_the_disk_has_lost_is_kept_in_the_log(
    writing: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fdatasync", broken)
    writing.commit_until_due()
    log = writing.path.with_name("queue.db-wal")
    size = log.stat().st_size
    for _ in range(2):
        with pytest.raises(StoreError, match=r"the disk has lost a part .* Input/output error"):
            writing.commit()
    writing.store.close()
    assert log.stat().st_size == size
    with pytest.raises(StoreError, match="start them again"):
        SqliteStore(writing.path)  # by the same process
    assert log.stat().st_size == size

    monkeypatch.undo()  # another process, a disk that was mended
    writing.store = SqliteStore(writing.path)
    writing.store.take_over()
    writing.commit()
    assert len(writing.store.search(TaskQuery(), 1_000)) == writing.committed


class Shaky:
    """A connection whose disk does not keep what is synced."""

    def wal_checkpoint(self, mode: int) -> tuple[int, int]:
        assert mode == apsw.SQLITE_CHECKPOINT_PASSIVE
        error = apsw.IOError("disk I/O error")
        error.extendedresult = apsw.SQLITE_IOERR_FSYNC  # type: ignore[attr-defined]
        raise error

    def close(self) -> None:
        """Nothing was opened."""


def test_what_sqlite_could_not_sync_counts_as_lost(
    writing: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing.store._checkpointer, "_open", Shaky)
    writing.commit_until_due()
    with pytest.raises(StoreError, match="the disk has lost a part"):
        writing.commit()


def test_a_long_log_that_nothing_is_wrong_with_is_the_thread_s_work(
    writing: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reading(writing.path)  # keeps the log from beginning anew
    while max(writing.log_pages, default=0) < _MOST_PAGES:
        writing.commit_until_due()
        writing.commit()
    reader.end()
    threads: list[str] = []
    write_back = sqlite_checkpointer._write_back

    def noted(path: Path, connection: apsw.Connection) -> bool:
        threads.append(threading.current_thread().name)
        return write_back(path, connection)

    monkeypatch.setattr(sqlite_checkpointer, "_write_back", noted)
    writing.commit_until_due()
    writing.commit()
    assert threads[0] == "checkpoints"
    writing.commit()
    assert writing.begun_anew == 1


def test_a_store_that_cannot_be_opened_leaves_nothing_open(writing: Writing) -> None:
    writing.commit_until_due()
    reader = Reading(writing.path)  # the log stays as long as it is
    writing.store._connection.pragma("user_version", 99)
    writing.store.close()

    def still_open() -> tuple[int, int]:
        return threading.active_count(), len(list(Path("/dev/fd").iterdir()))

    before = still_open()
    for _ in range(3):
        with pytest.raises(StoreError, match="newer version"):
            SqliteStore(writing.path)
    assert still_open() == before
    reader.end()


def test_a_moment_in_which_the_head_of_the_log_is_changed_is_no_failure(
    writing: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Busy:
        """As SQLite says of a head that two reads found different."""

        def wal_checkpoint(self, mode: int) -> tuple[int, int]:
            raise apsw.BusyError(mode)

        def close(self) -> None:
            """Nothing was opened."""

    checkpointer = writing.store._checkpointer
    monkeypatch.setattr(checkpointer, "_open", Busy)
    monkeypatch.setattr("os.fdatasync", lambda _descriptor: None)
    writing.commit_until_due()
    assert checkpointer._trouble is None
    writing.commit()  # the writer does it all
    assert writing.begun_anew == 1


def test_an_end_in_the_middle_of_it_waits_for_the_thread(tmp_path: Path) -> None:
    for number in range(20):
        writing = Writing(tmp_path / f"{number}.db")
        while not writing.store._checkpointer._under_way:
            writing.commit()
        thread = writing.store._checkpointer._thread
        assert thread is not None
        writing.store.close()
        assert not thread.is_alive()
        assert _tasks_without_log(writing.path) == writing.committed


class SlowEvent(threading.Event):
    """Is set once more before the first `clear` of whoever waited for it takes effect."""

    def __init__(self) -> None:
        super().__init__()
        self.clearing, self._set_again = threading.Event(), threading.Event()

    def set(self) -> None:
        super().set()
        if self.clearing.is_set():
            self._set_again.set()

    def clear(self) -> None:
        self.clearing.set()
        assert self._set_again.wait(_SOME_SECONDS)
        super().clear()


def test_a_word_to_end_is_never_missed(writing: Writing) -> None:
    checkpointer = writing.store._checkpointer
    checkpointer._wanted = event = SlowEvent()
    while not checkpointer._under_way:
        writing.commit()
    assert event.clearing.wait(_SOME_SECONDS)
    ending = threading.Thread(target=checkpointer.close, daemon=True)
    ending.start()
    ending.join(_SOME_SECONDS)
    assert not ending.is_alive()
