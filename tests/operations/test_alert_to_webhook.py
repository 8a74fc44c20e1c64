"""A worker is killed and comes back: a real Prometheus and Alertmanager tell a webhook and Slack.

The supervisor is held up until the alert is there: it would replace the worker in a second or two.
"""

import json

import pytest

from tests.operations.monitored import Monitored
from tests.operations.operated_queue import frozen
from tests.operations.runbook import run_section, shown
from tests.until import until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(500)]


def test_a_killed_worker_is_told_to_the_webhook_and_so_is_its_return(monitored: Monitored) -> None:
    queue, up = monitored.queue, 'sum(up{job="workers"})'
    until(lambda: monitored.value(up) == "1", 60, "a scrape of the worker")
    with frozen(queue.processes("ray::SupervisorActor")):
        queue.kill(queue.processes("ray::WorkerActor"))
        until(lambda: monitored.told("firing", "NoActiveWorkers"), 90, "the alert")
        printed = run_section(queue, "Worker unhealthy")
    until(lambda: monitored.told("resolved", "NoActiveWorkers"), 60, "the alert's end")
    alert = next(a for a in monitored.alerts if a["labels"]["alertname"] == "NoActiveWorkers")
    assert alert["labels"] == {
        "alertname": "NoActiveWorkers", "severity": "critical", "service": "workers",
    }  # fmt: skip
    assert alert["annotations"]["runbook_url"] == "docs/operations.md#worker-unhealthy"
    until(lambda: all(_slack(monitored, status) for status in _STATUSES), 60, "both in Slack")
    for message in [told for status in _STATUSES for told in _slack(monitored, status)]:
        assert message["title"].partition(": ")[2] == "critical of workers"
        assert "docs/operations.md#worker-unhealthy" in message["text"]
    assert {message["channel"] for message in monitored.slack} == {"#alerts"}
    assert json.loads(shown(printed, "/status"))["status"] == "lost"
    assert "was lost" in shown(printed, "metrics/workers")
    health = json.loads(shown(printed, "health/workers"))
    assert (health["active_workers"], health["unhealthy_workers"]) == (0, 1)
    assert "connected_clients" in shown(printed, "redis-cli")


_STATUSES = ("firing", "resolved")


def _slack(monitored: Monitored, status: str) -> list[dict[str, str]]:
    """The messages to Slack that have the alert with this status. Others of its group may be told
    with it: the objective of healthy workers is missed too if all takes long enough."""
    attachments = [each for message in monitored.slack for each in message["attachments"]]
    told = f"{status}: NoActiveWorkers: No active workers"
    return [each for each in attachments if told in each["text"]]
