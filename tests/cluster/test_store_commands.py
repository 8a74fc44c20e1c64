"""`migrate` and `backup`, as an operator types them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.peers.private_postgres import PrivatePostgres
from cluster.__main__ import main
from task_queue.store import open_reader, open_store
from task_queue.store.postgres_migrations import known_steps


def _config(folder: Path, url: str) -> str:
    path = folder / "config.yaml"
    path.write_text(f"store: {{url: '{url}'}}\npools: {{default: {{}}}}\n")
    return str(path)


@pytest.fixture
def chosen_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_migrate_makes_the_tables_once(
    chosen_folder: Path, start_postgres: Callable[[], PrivatePostgres]
) -> None:
    url = start_postgres().url
    config = _config(chosen_folder, url)
    first = CliRunner().invoke(main, ["migrate", config], catch_exceptions=False)
    again = CliRunner().invoke(main, ["migrate", config], catch_exceptions=False)
    applied = "".join(f"applied {step.name}\n" for step in known_steps())
    assert (first.output, again.output) == (applied, "nothing to do\n")
    open_reader(url).close()


def test_backup_writes_a_store_that_opens(chosen_folder: Path) -> None:
    url = f"sqlite:///{chosen_folder}/queue.db"
    store = open_store(url)
    store.take_over()
    store.close()
    command = ["backup", _config(chosen_folder, url), "copy.db"]
    done = CliRunner().invoke(main, command, catch_exceptions=False)
    assert done.output == "written to copy.db\n"
    copy = open_store(f"sqlite:///{chosen_folder}/copy.db")
    assert copy.take_over() == 2
    copy.close()


@pytest.mark.parametrize(
    ("command", "url", "complaint"),
    [
        (["migrate"], "sqlite:///q.db", "only PostgreSQL is migrated"),
        (["backup"], "postgresql://me:hunter2@h/q", "pg_dump"),
    ],
    ids=["migrate", "backup"],
)
def test_what_is_for_the_other_store_says_so(
    chosen_folder: Path, command: list[str], url: str, complaint: str
) -> None:
    arguments = [*command, _config(chosen_folder, url), *(["f"] if command == ["backup"] else [])]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    assert complaint in f"{done.output} {done.exception}"
    assert "hunter2" not in f"{done.output} {done.exception}"
