"""A backup is the queue of one moment, taken while it is in use."""

from pathlib import Path

import pytest

from task_queue.store.ended_sum import EndedSum
from task_queue.store.protocol import StoreError
from task_queue.store.sqlite import SqliteStore
from task_queue.store.sqlite_backup import backup_sqlite
from tests.store.databases import (
    a_schedule,
    a_task,
    an_ending,
    dead_letter,
    everything,
    inserted,
)


def test_a_backup_that_is_opened_is_the_same_queue(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "queue.db")
    store.take_over()
    task = dead_letter(1, attempt=1, tags=("ä",), arguments=b"\x00")
    changes = inserted(task, a_task(2, arguments=b"x" * 5_000))
    changes.ended = [an_ending(task, logs="log")]
    changes.schedules = {"s": a_schedule("s")}
    store.commit(changes)
    store.keep_sums({(10, 2): EndedSum(1)}, 30.0)
    before = everything(store)
    backup_sqlite(tmp_path / "queue.db", tmp_path / "copy.db")
    store.commit(inserted(a_task(3)))  # the writer goes on, and the copy does not see it

    copy = SqliteStore(tmp_path / "copy.db")
    assert everything(copy) == before
    assert copy.take_over() == 2
    copy.commit(inserted(a_task(3)))
    copy.close()
    store.close()


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "queue.db").close()
    (tmp_path / "copy.db").write_text("precious")
    with pytest.raises(StoreError, match="is there already"):
        backup_sqlite(tmp_path / "queue.db", tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_text() == "precious"


def test_without_a_store_or_a_folder_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        backup_sqlite(tmp_path / "queue.db", tmp_path / "copy.db")
    SqliteStore(tmp_path / "queue.db").close()
    with pytest.raises(StoreError, match="could not be copied"):
        backup_sqlite(tmp_path / "queue.db", tmp_path / "none" / "copy.db")
