"""A real queue under a known load, and a real Prometheus with the shipped files: each query of the
monitoring guide, and each query of the dashboards, has the figure that the load says."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml
from redis import Redis

from benchmarks.peers.broker import Broker
from benchmarks.peers.own_process import own_process
from benchmarks.peers.private_redis import private_redis
from cluster.free_ports import free_ports
from monitoring.grafana.files import FOLDER
from task_queue.clock import SystemClock
from tests.faults.own_cluster import OwnCluster
from tests.operations.operated_queue import frozen
from tests.until import until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(500)]

_SHIPPED = FOLDER.parents[1] / "prometheus"
_CASES: list[dict[str, str]] = yaml.safe_load(
    (Path(__file__).parent / "guide_queries.yaml").read_text("utf-8")
)
_BOARDS = [json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.iterdir())]
_PANELS = [
    (board["title"], panel["title"], target["expr"])
    for board in _BOARDS for panel in board["panels"] for target in panel["targets"]
]  # fmt: skip
_VARIABLES = {"$__rate_interval": "5m", "$queue": ".*", "$worker": ".*", "$node": ".*"}

_ECHOED, _SLEPT, _SLEEP_SECONDS = 20, 10, 0.5
_FAILED_AT_ONCE, _RETRIED, _TIMED_OUT, _LIMIT_SECONDS = 40, 2, 3, 0.4
_HIGH, _NORMAL, _LOW = 400, 350, 300  #: waiting, of each priority band
_COMPLETED = _ECHOED + _SLEPT
_FAILED = _FAILED_AT_ONCE + _RETRIED + _TIMED_OUT
_ENDED = _COMPLETED + _FAILED
_DEPTH = _HIGH + _NORMAL + _LOW
_SUBMITTED = _ENDED + _DEPTH + 1  #: and one that runs on
_ATTEMPTS = _ENDED + _RETRIED
_LEAST_BUSY = _SLEPT * _SLEEP_SECONDS + _TIMED_OUT * _LIMIT_SECONDS

_BATCHES = 9

#: Counts that no series of the guide's names has, of which each began with the load, and how many.
_FIRST_BURST = {
    'task_queue_tasks_total{task="task_queue.echo", event="submitted"}': _ECHOED,
    'task_queue_tasks_total{task="task_queue.echo", event="completed"}': _ECHOED,
    'task_queue_tasks_total{task="task_queue.fail", event="failed"}': _FAILED_AT_ONCE + _RETRIED,
    'task_queue_tasks_total{task="task_queue.fail", event="retried"}': _RETRIED,
    'task_queue_processing_seconds_count{queue="default"}': _ATTEMPTS,
    'task_queue_wait_seconds_bucket{queue="default", le="+Inf"}': _COMPLETED,
    'task_queue_end_to_end_seconds_count{queue="default"}': _COMPLETED,
    'api:requests{status="201"}': _BATCHES,
    'task_queue_api_request_seconds_count{route="/api/v1/tasks/batch"}': _BATCHES,
}

Range = tuple[float, float]


def _exactly(value: float) -> Range:
    return value, value


def _extrapolated(value: float) -> Range:
    """rate() stretches what it saw to the whole of its window."""
    return 0.95 * value, 1.25 * value


_FACTS: dict[str, Range] = {
    "zero": _exactly(0), "one": _exactly(1), "share": (0, 1), "percent": (0, 100),
    "positive": (1e-9, float("inf")), "submitted": _exactly(_SUBMITTED),
    "completed": _exactly(_COMPLETED), "failed": _exactly(_FAILED), "retried": _exactly(_RETRIED),
    "timed_out": _exactly(_TIMED_OUT), "attempts": (0, _ATTEMPTS), "high": _exactly(_HIGH),
    "normal": _exactly(_NORMAL), "low": _exactly(_LOW), "depth": _exactly(_DEPTH),
    "active": _exactly(1), "paused": _exactly(1), "draining": _exactly(0),
    "utilization": _exactly(50), "any_utilization": (0, 50), "uptime": (1, 500),
    "worker_mean": (0.001, 1.5), "connections": (0, 100), "inserts": (1, _SUBMITTED),
    "store_calls": (0, 1e6), "clients": (1, 5), "strings": _exactly(3), "lists": _exactly(1),
    "hashes": _exactly(2),
    "success": (0.95 * _COMPLETED / (_SUBMITTED + 3.6), 1.05 * _COMPLETED / (_SUBMITTED + 3.6)),
    # The rule may be a second behind, when the longest attempts had not ended.
    "mean": (0.5 * _LEAST_BUSY / _ATTEMPTS, _LEAST_BUSY / _ATTEMPTS + 0.3), "p99": (0.4, 1.5),
    "failed_a_second_1h": _extrapolated(_FAILED / 3600),
    "failed_a_second_5m": _extrapolated(_FAILED / 300),
    "failure_ratio": (0.95 * _FAILED / _ENDED, 1.05 * _FAILED / _ENDED),
    "completed_of_submitted": (0.95 * _COMPLETED / _SUBMITTED, 1.05 * _COMPLETED / _SUBMITTED),
    "series_not_workers": _exactly(0.25),
}  # fmt: skip


class Prometheus:
    """Asked over HTTP."""

    def __init__(self, port: int) -> None:
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)

    def close(self) -> None:
        self._http.close()

    def ready(self) -> bool:
        try:
            return self._http.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def ask(self, query: str) -> list[float]:
        """The figures now; a query that is wrong fails."""
        answer = self._http.get("/api/v1/query", params={"query": query}).json()
        assert answer["status"] == "success", f"{query}: {answer}"
        return [float(series["value"][1]) for series in answer["data"]["result"]]


@pytest.fixture(scope="module")
def redis() -> Iterator[Broker]:
    with private_redis() as broker, Redis.from_url(broker.url) as client:
        client.mset({"a": "1", "b": "1", "c": "1"})
        client.rpush("list", "1")
        for name in ("hash1", "hash2"):
            client.hset(name, "field", "1")
        yield broker


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, redis: Broker) -> Iterator[OwnCluster]:
    pool = {"min_workers": 2, "max_workers": 2, "slots": 2, "num_cpus": 0.5, "drain_seconds": 1.0}
    made = OwnCluster(tmp_path_factory.mktemp("cluster"), redis={"url": redis.url}, autoscaler={})
    made.replace_pools(worker=pool)
    try:
        made.up()
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def prometheus(
    tmp_path_factory: pytest.TempPathFactory, cluster: OwnCluster
) -> Iterator[Prometheus]:
    """It has scraped the queue before the load and after it."""
    folder = tmp_path_factory.mktemp("prometheus")
    program = shutil.which("prometheus")
    if program is None and os.environ.get("CI") != "true":
        pytest.skip("there is no prometheus: apt-get install prometheus")
    assert program is not None, "there is no prometheus"
    (port,) = free_ports(1)
    _write_config(folder, cluster.http_port)
    command = [
        program, f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'series'}", f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with ExitStack() as stack:
        stack.enter_context(own_process(command, folder / "log"))
        asked = Prometheus(port)
        until(asked.ready, 60, "Prometheus")
        until(lambda: asked.ask("task_queue:submission_rate") == [0], 60, "a scrape")
        _load(cluster)
        until(lambda: asked.ask("task_queue:failure_rate") == [_FAILED], 60, "the failures")
        until(lambda: asked.ask("task_queue:completion_rate") == [_COMPLETED], 60, "the rest")
        until(lambda: asked.ask("task_queue:failure_ratio > 0.3") != [], 60, "the rules")
        until(lambda: len(asked.ask('up{job="workers"} == 1')) == 2, 60, "the workers")
        stack.callback(asked.close)
        busy = 'worker:utilization_percent{worker_id="worker-1"}'
        until(lambda: set(asked.ask(busy)) == {50}, 60, "all but one task")
        yield asked


def _write_config(folder: Path, queue_port: int) -> None:
    for path in _SHIPPED.glob("*_rules.yml"):
        rules = yaml.safe_load(path.read_text())
        for group in rules["groups"]:
            group["interval"] = "1s"
        (folder / path.name).write_text(yaml.safe_dump(rules))
    address = f"127.0.0.1:{queue_port}"
    text = (_SHIPPED / "prometheus.yml").read_text().replace("localhost:8000", address)
    config = yaml.safe_load(text.replace("15s", "1s"))
    del config["alerting"]
    jobs = ("task-queue", "workers")  # nobody answers at the exporters' ports
    config["scrape_configs"] = [c for c in config["scrape_configs"] if c["job_name"] in jobs]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))


def _load(cluster: OwnCluster) -> None:
    with httpx.Client(base_url=f"{cluster.url}/api/v1", timeout=30) as http:

        def submit(count: int, **task: Any) -> None:
            answer = http.post("/tasks/batch", json={"tasks": [task] * count})
            assert answer.status_code == 201, answer.text

        def order(path: str) -> None:
            assert http.post(path).status_code == 200, path

        # Nothing is taken before the queue that is to wait is known, and so can be paused.
        for worker in ("worker-1", "worker-2"):
            order(f"/workers/{worker}/pause")
        for count, priority in ((_HIGH, 9), (_NORMAL, 5), (_LOW, 0)):
            submit(count, name="task_queue.noop", queue="parked", priority=priority)
        order("/queues/parked/pause")
        order("/workers/worker-1/resume")
        submit(_ECHOED, name="task_queue.echo", args=["hello"])
        submit(_SLEPT, name="task_queue.sleep", args=[_SLEEP_SECONDS])
        submit(_FAILED_AT_ONCE, name="task_queue.fail", args=["on purpose"])
        submit(_RETRIED, name="task_queue.fail", args=["twice"], max_retries=1)
        submit(
            _TIMED_OUT, name="task_queue.sleep", args=[60], timeout_seconds=_LIMIT_SECONDS,
            max_retries=0,
        )  # fmt: skip
        submit(1, name="task_queue.sleep", args=[900], priority=0)


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case["query"])
def test_every_query_of_the_guide_has_the_figure_of_the_load(
    prometheus: Prometheus, case: dict[str, str]
) -> None:
    _hold(prometheus, case["query"], case["is"])
    if "shipped" in case:
        _hold(prometheus, case["shipped"], case["shipped_is"])


def _hold(prometheus: Prometheus, query: str, fact: str) -> None:
    figures = prometheus.ask(query)
    if fact == "nothing":
        assert figures == []
        return
    low, high = _disk() if fact == "disk" else _FACTS[fact]
    assert figures
    assert all(low <= figure <= high for figure in figures), (figures, low, high)


def _disk() -> Range:
    """As it is now: others fill it and empty it."""
    percent = psutil.disk_usage("/").percent
    return percent - 3, percent + 3


@pytest.mark.parametrize(("board", "panel", "expression"), _PANELS)
def test_no_panel_is_empty_under_load(
    prometheus: Prometheus, board: str, panel: str, expression: str
) -> None:
    assert prometheus.ask(_filled(expression)), (board, panel)


def _filled(expression: str) -> str:
    """As Grafana asks, over the last five minutes."""
    for name, value in _VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


@pytest.mark.parametrize(("series", "count"), _FIRST_BURST.items())
def test_the_first_burst_of_a_queue_is_in_the_rate_of_each_series(
    prometheus: Prometheus, series: str, count: int
) -> None:
    (increase,) = prometheus.ask(f"increase({series}[5m])")
    (rate,) = prometheus.ask(f"rate({series}[5m])")
    low, high = _extrapolated(count)
    assert low <= increase <= high
    assert low <= 300 * rate <= high


def test_nothing_is_stored_twice(prometheus: Prometheus) -> None:
    ours = '{__name__=~".*:.*|task_queue_.*", job!=""}'
    assert prometheus.ask(f"count(count by (__name__) ({ours})) > 40") != []
    assert prometheus.ask(f"count by (__name__) (count by (__name__, job) ({ours})) > 1") == []
    by_worker = 'count by (__name__, worker_id) ({__name__=~"worker:.*"})'
    assert set(prometheus.ask(by_worker)) == {1}
    assert prometheus.ask("count(worker:utilization_percent)") == [2]
    (shares,) = (expr for _, panel, expr in _PANELS if panel == "Task distribution")
    assert prometheus.ask(f"sum({_filled(shares)})") == [pytest.approx(1)]


class TestUp:
    """`up{job="workers"}`. The supervisor is held up: it replaces a worker in a second or two."""

    def test_is_gone_with_a_worker_that_deregistered_and_back_with_the_next(
        self, prometheus: Prometheus, cluster: OwnCluster
    ) -> None:
        with frozen(cluster.processes("ray::SupervisorActor")):
            answer = httpx.post(f"{cluster.url}/api/v1/workers/worker-2/drain", timeout=30)
            assert answer.status_code == 200, answer.text
            until(lambda: prometheus.ask(_up(2)) == [], 30, "the target to be gone")
            figures = 'worker:uptime_seconds{worker_id="worker-2"}'
            until(lambda: prometheus.ask(figures) == [], 5, "its figures to go")
            assert prometheus.ask(_up(1)) == [1]
            assert len(httpx.get(f"{cluster.url}/api/v1/prometheus/targets").json()) == 1
        until(lambda: prometheus.ask(_up(2)) == [1], 60, "another worker")

    def test_is_0_for_workers_that_were_killed_until_they_are_back(
        self, prometheus: Prometheus, cluster: OwnCluster
    ) -> None:
        with frozen(cluster.processes("ray::SupervisorActor")):
            cluster.kill(cluster.processes("ray::WorkerActor"))
            both = 'up{job="workers"}'
            until(lambda: prometheus.ask(both) == [0, 0], 30, "both to be down")
            assert prometheus.ask(_NO_WORKERS) == [0]
            until(lambda: prometheus.ask("worker:uptime_seconds") == [], 5, "their figures to go")
        until(lambda: prometheus.ask(both) == [1, 1], 60, "both to be back")
        assert prometheus.ask(_NO_WORKERS) == []


@pytest.mark.parametrize("title", ["ray::SchedulerActor", "ray::ServeReplica"])
def test_what_is_counted_since_the_store_was_made_outlives_whoever_tells_it(
    prometheus: Prometheus, cluster: OwnCluster, title: str
) -> None:
    before = {name: prometheus.ask(name) for name in _SINCE_THE_STORE}
    assert before["task_queue:submission_rate"] == [_SUBMITTED]
    killed = cluster.processes(title)
    cluster.kill(killed)
    until(lambda: _answers(f"{cluster.url}/metrics", killed), 60, "another one")
    again = SystemClock().now()
    name = "task_queue:submission_rate"
    until(lambda: prometheus.ask(f"timestamp({name}) > {again}") != [], 60, "a scrape of it")
    until(lambda: prometheus.ask("workers:healthy") == [2], 60, "the workers")
    assert {name: prometheus.ask(name) for name in _SINCE_THE_STORE} == before
    for name in _SINCE_THE_STORE:
        assert prometheus.ask(f"resets({name}[10m])") == [0], name


_SINCE_THE_STORE = [
    f"task_queue:{what}_rate" for what in ("submission", "completion", "failure", "timeout")
]


def _answers(url: str, killed: list[psutil.Process]) -> bool:
    """Somebody else does."""
    try:
        well = httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False
    return well and not any(process.is_running() for process in killed)


_NO_WORKERS = '(count(up{job="workers"} == 1) or vector(0)) == 0'


def _up(number: int) -> str:
    return f'up{{job="workers", instance="worker-{number}"}}'
