"""One trace through a real cluster, as a real receiver of OTLP sees it.

One cluster for all of it; the tests run in the order in which they stand: the last takes the
receiver away.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from task_queue.client.client import Client
from tests.faults.own_cluster import ROOT, OwnCluster
from tests.tracing.otlp_receiver import OtlpReceiver, SeenSpan, otlp_receiver
from tests.until import until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(500)]

_TRACE, _CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
_TRACED = {"traceparent": f"00-{_TRACE}-{_CALLER}-01"}


@pytest.fixture(scope="module")
def receiver() -> Iterator[OtlpReceiver]:
    with otlp_receiver() as made:
        yield made


@pytest.fixture(scope="module")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, receiver: OtlpReceiver
) -> Iterator[OwnCluster]:
    pool = {
        "task_modules": ["traced_tasks"],
        "python_path": [str(ROOT / "tests" / "executor" / "samples")],
        "min_workers": 1, "max_workers": 1, "slots": 2, "num_cpus": 0.5,
    }  # fmt: skip
    made = OwnCluster(
        tmp_path_factory.mktemp("cluster"),
        tracing={"enabled": True, "endpoint": receiver.endpoint, "sample_rate": 1.0},
        pools={"default": pool},
    )
    try:
        made.up()
        yield made
    finally:
        made.end()


def submit(cluster: OwnCluster, name: str, *args: object, **fields: object) -> str:
    answer = httpx.post(
        f"{cluster.url}/api/v1/tasks", headers=_TRACED, timeout=30,
        json={"name": name, "args": args, **fields},
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    task_id: str = answer.json()["task_id"]
    return task_id


@pytest.mark.parametrize("name", ["traced", "async_traced"])
def test_caller_endpoint_submit_execute_and_user_code_are_one_trace(
    cluster: OwnCluster, receiver: OtlpReceiver, name: str
) -> None:
    task_id = submit(cluster, name, name)
    execute = receiver.one("task:execute", task_id=task_id)
    submitted = receiver.one("task:submit", task_id=task_id)
    wait = receiver.one("task:wait", task_id=task_id)
    outer = receiver.one("outer", label=name)

    def endpoints() -> list[SeenSpan]:
        return [s for s in receiver.named("api:endpoint") if s.span_id == submitted.parent]

    until(lambda: endpoints() != [], 20.0, "the span of the request, which ends last")
    (endpoint,) = endpoints()
    assert endpoint.parent == _CALLER
    assert execute.parent == wait.parent == submitted.span_id
    assert outer.parent == execute.span_id
    assert outer.span_id in {inner.parent for inner in receiver.named("inner")}
    spans = (endpoint, submitted, wait, execute, outer)
    assert {span.trace_id for span in spans} == {_TRACE}
    assert [s.part for s in spans] == ["api", "api", "scheduler", "scheduler", "executor"]
    assert execute.attributes["task.status"] == "COMPLETED"
    assert execute.attributes["worker.id"] == "default-1"
    assert execute.begun <= outer.begun <= outer.ended <= execute.ended + 1_000_000


def test_a_worker_tells_that_it_came(cluster: OwnCluster, receiver: OtlpReceiver) -> None:
    register = receiver.one("worker:register")
    assert register.attributes["worker.id"] == "default-1"
    assert register.attributes["worker.hostname"]


def test_a_schedule_begins_a_trace_that_reaches_the_tasks_own_code(
    cluster: OwnCluster, receiver: OtlpReceiver
) -> None:
    with httpx.Client(base_url=f"{cluster.url}/api/v1", timeout=30) as http:
        task = {"name": "traced", "args": ["by the clock"]}
        answer = http.post("/schedules", json={"id": "s", "interval_seconds": 1, "task": task})
        assert answer.status_code == 201, answer.text
        until(lambda: receiver.named("schedule:fire") != [], 30, "a firing")
        assert http.delete("/schedules/s").status_code == 204
    fired = receiver.named("schedule:fire")[0]
    task_id = fired.attributes["task.id"]
    submitted = receiver.one("task:submit", task_id=task_id)
    execute = receiver.one("task:execute", task_id=task_id)
    until(lambda: _below(receiver, execute) != [], 10, "the span of its code")
    (outer,) = _below(receiver, execute)
    assert (fired.parent, fired.attributes["schedule.id"]) == ("", "s")
    assert submitted.parent == fired.span_id
    assert execute.parent == submitted.span_id
    assert (outer.name, outer.attributes["label"]) == ("outer", "by the clock")
    assert {s.trace_id for s in (fired, submitted, execute, outer)} == {fired.trace_id}
    assert fired.part == submitted.part == "scheduler"


def _below(receiver: OtlpReceiver, parent: SeenSpan) -> list[SeenSpan]:
    return [span for span in list(receiver.spans) if span.parent == parent.span_id]


def test_an_executor_that_is_killed_leaves_a_span_and_its_retry_a_link(
    cluster: OwnCluster, receiver: OtlpReceiver
) -> None:
    task_id = submit(cluster, "task_queue.sleep", 60, timeout_seconds=0.2, max_retries=1)
    second = receiver.one("task:execute", task_id=task_id, task_attempt=2)
    first = receiver.one("task:execute", task_id=task_id, task_attempt=1)
    assert first.failed and second.failed
    assert second.links == (first.span_id,)
    assert second.attributes["task.status"] == "FAILED"


def test_log_lines_of_the_task_have_the_trace_id(cluster: OwnCluster) -> None:
    lines = [
        json.loads(line)
        for text in _logs(cluster)
        for line in text.splitlines()
        if '"event": "task_' in line
    ]
    events = {line["event"] for line in lines if line.get("trace_id") == _TRACE}
    assert events >= {"task_submitted", "task_execution_complete"}


def test_without_a_receiver_tasks_go_on_and_each_process_warns_once(
    cluster: OwnCluster, receiver: OtlpReceiver
) -> None:
    receiver.close()
    with Client(cluster.url) as client:
        for _ in range(3):
            ids = [submit(cluster, "traced", "away") for _ in range(10)]
            assert [client.result(task_id, timeout=120) for task_id in ids] == [_TRACE] * 10
            _wait_for_another_failure(cluster)

    def warnings() -> list[int]:
        return [text.count("span_receiver_away") for text in _logs(cluster)]

    until(lambda: sum(warnings()) >= 2, 30, "the warnings of the API and the scheduler")
    assert max(warnings()) == 1


def _logs(cluster: OwnCluster) -> list[str]:
    """What each process of the queue wrote."""
    record = cluster.record()
    assert record is not None
    paths = Path(record.session_folder).glob("logs/worker-*.err")
    return [path.read_text("utf-8") for path in paths]


def _wait_for_another_failure(cluster: OwnCluster) -> None:
    before = _count(cluster, "failed")
    until(lambda: _count(cluster, "failed") > before, 30, "another failed export")


def _count(cluster: OwnCluster, outcome: str) -> float:
    text = httpx.get(f"{cluster.url}/metrics", timeout=30).text
    found = re.search(rf'task_queue_spans_total{{outcome="{outcome}"}} (\S+)', text)
    assert found is not None
    return float(found[1])
