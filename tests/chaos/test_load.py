"""The clients of a schedule note what they are told, and repeat until they are told something."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from cluster.chaos.load import Load, Where
from cluster.chaos.plan import Plan
from task_queue import AsyncClient
from task_queue.clock import SystemClock
from task_queue.errors import NotFound, QueueUnreachable, StoreUnavailable
from task_queue.history import Bounds, Kind, Ledger, Record, check_history
from task_queue.testing import InMemoryQueue

#: Long enough for a busy machine to submit some.
_PLAN = Plan(seed=7, load_seconds=1.5, tasks_per_second=40.0, faults=())
_NO_ORDER = Bounds(read_ahead=1_000_000)


def _run(client: AsyncClient, folder: Path, close_seconds: float = 20.0) -> Load:
    ledger = folder / "ledger"
    ledger.touch()
    load = Load(client, Where("default", ledger, "test"), _PLAN, SystemClock())
    asyncio.run(load.run(close_seconds))
    return load


def _history(load: Load, folder: Path) -> list[Record]:
    records = [*load.records, *Ledger(folder / "ledger").read()]
    return sorted(records, key=lambda record: record.at)


def _tasks(history: list[Record], kind: Kind) -> set[str]:
    return {record.task_id for record in history if record.kind is kind}


def _open(records: list[Record]) -> set[str]:
    """Tasks that have not ended, or not again since they were to run again."""
    is_open: dict[str, bool] = {}
    for record in records:
        if record.kind in (Kind.ACCEPTED, Kind.RERUN_ACKNOWLEDGED):
            is_open[record.task_id] = True
        elif record.kind is Kind.OVER:
            is_open[record.task_id] = False
    return {task_id for task_id, waits in is_open.items() if waits}


def test_what_was_accepted_began_and_was_told_to_be_over(tmp_path: Path) -> None:
    load = _run(InMemoryQueue(inline=True).async_client(), tmp_path)
    history = _history(load, tmp_path)
    accepted = _tasks(history, Kind.ACCEPTED)
    assert load.closed and len(accepted) > 5
    assert accepted == _tasks(history, Kind.STARTED) == _tasks(history, Kind.OVER)
    assert check_history(history, _NO_ORDER) == []


def test_each_end_is_asked_for_twice(tmp_path: Path) -> None:
    load = _run(InMemoryQueue(inline=True).async_client(), tmp_path)
    ends = [record.task_id for record in load.records if record.kind is Kind.OVER]
    assert all(ends.count(task_id) >= 2 for task_id in ends)


def test_what_nobody_runs_is_lost_and_the_schedule_is_not_closed(tmp_path: Path) -> None:
    load = _run(InMemoryQueue().async_client(), tmp_path, close_seconds=2.0)
    violations = check_history(_history(load, tmp_path), _NO_ORDER)
    assert not load.closed
    assert load.answers["tasks not over in time"] == len(_open(load.records)) > 0
    assert load.answers["submits not answered in time"] == 0
    assert {violation.rule for violation in violations} == {"lost"}


@pytest.fixture
def many_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.chaos.load._DEAD", 0.5)


@pytest.mark.usefixtures("many_fail")
def test_some_of_what_failed_is_run_again_once(tmp_path: Path) -> None:
    load = _run(InMemoryQueue(inline=True).async_client(), tmp_path)
    history = _history(load, tmp_path)
    asked = [record.task_id for record in load.records if record.kind is Kind.RERUN_SENT]
    ends = {record.task_id: record.status for record in load.records if record.kind is Kind.OVER}
    assert load.closed and check_history(history, _NO_ORDER) == []
    assert len(asked) == len(set(asked)) > 0
    assert set(asked) == _tasks(load.records, Kind.RERUN_ACKNOWLEDGED)
    # Those that fail at each run have failed twice, and began twice.
    failed = [task_id for task_id in asked if ends[task_id] == "FAILED"]
    starts = [record.task_id for record in history if record.kind is Kind.STARTED]
    assert failed and all(starts.count(task_id) == 2 for task_id in failed)


class _Mute:
    """A client whose retries are carried out, and whose answers to them are lost."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def retry(self, task_id: str) -> Any:
        await self._client.retry(task_id)
        raise QueueUnreachable("cut off")

    async def dlq_replay(self, filter: Any) -> Any:
        raise StoreUnavailable(503, "the store is away")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@pytest.mark.usefixtures("many_fail")
def test_whether_it_ran_again_is_open_if_the_answer_was_lost(tmp_path: Path) -> None:
    client: Any = _Mute(InMemoryQueue(inline=True).async_client())
    load = _run(client, tmp_path)
    assert load.closed and load.answers["rerun: unreachable"] + load.answers["rerun: 503"] > 0
    assert not _tasks(load.records, Kind.RERUN_ACKNOWLEDGED)
    assert check_history(_history(load, tmp_path), _NO_ORDER) == []


class _Troubled:
    """A client whose every second submit is in trouble, and whose answer may be lost."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._count = 0

    async def submit_many(self, requests: Iterable[Any]) -> Any:
        self._count += 1
        if self._count % 4 == 1:
            raise StoreUnavailable(503, "the store is away")
        answer = await self._client.submit_many(requests)
        if self._count % 4 == 3:
            raise QueueUnreachable("cut off after it was accepted")
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_a_submit_is_repeated_with_its_key_until_its_answer_is_known(tmp_path: Path) -> None:
    client: Any = _Troubled(InMemoryQueue(inline=True).async_client())
    load = _run(client, tmp_path)
    history = _history(load, tmp_path)
    assert load.closed
    assert load.answers["submit: 503"] > 0 and load.answers["submit: unreachable"] > 0
    assert _tasks(history, Kind.STARTED) == _tasks(history, Kind.ACCEPTED)
    assert check_history(history, _NO_ORDER) == []


class _Forgetful:
    """A client of a queue that does not know one of the tasks that it has accepted."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._forgotten = ""

    async def submit_many(self, requests: Iterable[Any]) -> Any:
        handles = await self._client.submit_many(requests)
        self._forgotten = self._forgotten or handles[0].task_id
        return handles

    def as_completed(self, handles: list[Any], timeout: float) -> Any:
        if any(handle.task_id == self._forgotten for handle in handles):
            raise NotFound(404, f"there is no task {self._forgotten}")
        return self._client.as_completed(handles, timeout)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_a_task_that_the_queue_has_forgotten_hides_no_other(tmp_path: Path) -> None:
    client: Any = _Forgetful(InMemoryQueue(inline=True).async_client())
    load = _run(client, tmp_path, close_seconds=3.0)
    violations = check_history(_history(load, tmp_path), _NO_ORDER)
    assert [violation.rule for violation in violations] == ["lost"]


class _Broken:
    """A client that fails in a way that no queue should make it fail."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    def as_completed(self, handles: list[Any], timeout: float) -> Any:
        raise ZeroDivisionError

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_a_fault_of_the_load_itself_is_not_taken_for_one_of_the_queue(tmp_path: Path) -> None:
    client: Any = _Broken(InMemoryQueue(inline=True).async_client())
    with pytest.raises(ZeroDivisionError):
        _run(client, tmp_path, close_seconds=0.5)
