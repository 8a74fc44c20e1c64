"""The command breaks nothing that was not named, and no queue that was not started here."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cluster.__main__ import main
from cluster.chaos.campaign import ChaosError
from cluster.chaos.own_target import kinds_of, own_target
from cluster.chaos.plan import FaultKind
from cluster.record import HeadRecord, record_path, write_record
from task_queue.settings import load_settings


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A queue that `up` has started, as far as its record tells."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text("pools: {default: {max_workers: 3, slots: 2}}\n")
    write_record(record_path(8000), HeadRecord("an-id", "127.0.0.1:6389", "/tmp/x"))
    return path


def test_without_naming_what_to_kill_nothing_runs(config: Path) -> None:
    result = CliRunner().invoke(main, ["chaos", str(config)])
    assert result.exit_code == 2
    assert "--kill" in result.output


@pytest.mark.parametrize(
    "text", ["", "all", "worker,everything", "postgres", "postgres-pause", "disk"]
)
def test_an_unknown_kind_is_refused_with_those_that_there_are(text: str) -> None:
    with pytest.raises(ChaosError, match=r"out of: executor, worker, .*gcs$"):
        kinds_of(text)


def test_only_what_was_named_may_be_hit(config: Path) -> None:
    kinds = kinds_of("worker, streams")
    target = own_target(load_settings(config, {}), config, kinds, "default")
    assert set(target.blows) == {FaultKind.WORKER, FaultKind.STREAMS}


def test_a_queue_without_postgresql_has_no_connections_to_it(config: Path) -> None:
    with pytest.raises(ChaosError, match="database-connections"):
        own_target(
            load_settings(config, {}), config, [FaultKind.DATABASE_CONNECTIONS], "default"
        )  # fmt: skip


def test_a_queue_that_was_not_started_here_is_left_alone(config: Path) -> None:
    record_path(8000).unlink()
    with pytest.raises(ChaosError, match="started on this machine"):
        own_target(load_settings(config, {}), config, [FaultKind.WORKER], "default")


def test_a_ray_that_was_joined_is_left_alone(config: Path) -> None:
    config.write_text("ray: {address: auto}\npools: {default: {}}\n")
    with pytest.raises(ChaosError, match="started on this machine"):
        own_target(load_settings(config, {}), config, [FaultKind.WORKER], "default")
