"""A campaign goes on only when the queue has the workers again that it should have."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.chaos.campaign import Campaign, ChaosError, Target
from cluster.chaos.victims import Victims


class _Healthy:
    """A client of a queue that is well but for its workers."""

    def __init__(self, *statuses: str) -> None:
        self._workers = [
            SimpleNamespace(
                worker_id=f"w{n}", status=status, pid=n, current_load=0, tasks_ended=0,
                last_heartbeat_at="now", end_cause="",
            )
            for n, status in enumerate(statuses)
        ]  # fmt: skip

    async def __aenter__(self) -> "_Healthy":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def health(self) -> dict[str, str]:
        return {"status": "healthy"}

    async def workers(self) -> list[Any]:
        return self._workers

    async def task_types(self) -> list[Any]:
        return []


def _run(folder: Path, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.chaos.campaign._HEALTHY_SECONDS", 0.05)
    monkeypatch.setattr(Campaign, "_client", lambda _: client)
    target = Target("a queue", "http://x", "q", 3.0, 4, 2, {}, Victims(lambda: None), folder)
    asyncio.run(Campaign(target, 1.0, print).run([]))


def test_a_worker_that_is_not_replaced_ends_the_campaign_and_all_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ChaosError, match="1 of 2") as caught:
        _run(tmp_path, _Healthy("active", "lost"), monkeypatch)
    assert "worker w1: lost" in str(caught.value)
    assert "supervisor: there is no such process" in str(caught.value)


def test_with_all_its_workers_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ChaosError, match="no pool knows the task"):
        _run(tmp_path, _Healthy("active", "paused"), monkeypatch)
