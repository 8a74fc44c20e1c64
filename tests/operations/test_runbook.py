"""Every command of the runbook, on a queue in the state that its section is about.

The section on workers is run where a worker is lost: test_alert_to_webhook.py.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import psycopg
import pytest

from tests.operations.monitored import Monitored
from tests.operations.operated_queue import OperatedQueue
from tests.operations.runbook import run_section, shown, titles_with_commands
from tests.until import until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(500)]

_BACKLOG = 1_200  #: of which a worker may take a few ahead
_SECTIONS = {
    "Is it well?", "High queue depth", "High failure rate", "Worker unhealthy",
    "Database performance",
}  # fmt: skip


def test_no_section_is_left_out() -> None:
    assert titles_with_commands() == _SECTIONS


def test_high_queue_depth(monitored: Monitored) -> None:
    queue = monitored.queue
    with _backlog(queue):
        until(lambda: monitored.told("firing", "HighQueueDepth"), 90, "the alert")
        well = run_section(queue, "Is it well?")
        assert "HighQueueDepth" in shown(well, "amtool alert query")
        assert "alive" in shown(well, "health/live")
        depth = run_section(queue, "High queue depth")
    tasks = json.loads(shown(depth, "stats"))["tasks"]
    assert tasks["queued"] > 1_000
    assert tasks["queued"] + tasks["running"] == _BACKLOG + 2
    assert json.loads(shown(depth, "queue-depth"))["by_priority"]["low"] == tasks["queued"]
    running = json.loads(shown(depth, "RUNNING"))["tasks"]
    assert [task["name"] for task in running].count("task_queue.sleep") == 2
    assert str(tasks["queued"]) in shown(depth, "sum(")
    until(lambda: monitored.told("resolved", "HighQueueDepth"), 60, "the alert's end")


def test_high_failure_rate(monitored: Monitored) -> None:
    queue = monitored.queue
    with queue.client() as client:
        handles = [client.submit("task_queue.fail", "boom", max_retries=0) for _ in range(3)]
        until(lambda: all(h.status() == "FAILED" for h in handles), 30, "the failures")
    printed = run_section(queue, "High failure rate")
    ids = {handle.task_id for handle in handles}
    for part in ("search/tasks", "in_dlq=true"):
        assert {task["task_id"] for task in json.loads(shown(printed, part))["tasks"]} >= ids
    assert "boom" in shown(printed, "trends")
    assert json.loads(shown(printed, "dlq/replay"))["count"] == 3


def test_database_performance(monitored: Monitored) -> None:
    queue = monitored.queue
    with queue.client() as client:
        task_id = client.submit("task_queue.noop").task_id
    with psycopg.connect(queue.postgres.url) as blocker, ThreadPoolExecutor(1) as other:
        blocker.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
        waiting = other.submit(httpx.get, f"{queue.url}/api/v1/tasks/{task_id}", timeout=20)
        until(lambda: _blocked(queue) > 0, 60, "a statement that waits")
        printed = run_section(queue, "Database performance")
        blocker.rollback()
        waiting.result()
    assert "tasks" in shown(printed, "pg_stat_statements")
    assert "tasks" in shown(printed, "pg_stat_user_tables")
    assert "tasks_pkey" in shown(printed, "pg_stat_user_indexes")
    assert "tasks" in shown(printed, "FROM pg_locks")
    assert "task-queue" in shown(printed, "pg_stat_activity")


def _blocked(queue: OperatedQueue) -> int:
    with psycopg.connect(queue.postgres.url) as connection:
        row = connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def _backlog(queue: OperatedQueue) -> Iterator[None]:
    """Both slots are taken, and more tasks wait than the alert allows."""
    with queue.client() as client:
        slow = [client.submit("task_queue.sleep", 600, priority=9) for _ in range(2)]
        until(lambda: all(h.status() == "RUNNING" for h in slow), 30, "the slow tasks to run")
        waiting = [{"name": "task_queue.noop", "priority": 1}] * _BACKLOG
        url = f"{queue.url}/api/v1"
        httpx.post(f"{url}/tasks/batch", json={"tasks": waiting}, timeout=60).raise_for_status()
        try:
            yield
        finally:
            httpx.post(f"{url}/queues/default/purge", timeout=60).raise_for_status()
            for handle in slow:
                handle.cancel()
