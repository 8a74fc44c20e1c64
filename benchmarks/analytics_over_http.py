"""The questions of dashboards and searches over HTTP: for bench_analytics."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.own_folder import ROOT
from benchmarks.peers.own_process import own_process
from benchmarks.peers.wait_until_ready import wait_until_ready
from benchmarks.report import spread
from cluster.free_ports import free_ports
from serve_app.page_cursor import cursor_of
from task_queue.clock import to_rfc3339
from task_queue.store.query import TaskQuery

_WINDOWS = ("15m", "1h", "6h", "24h", "7d")
#: The API keeps an answer for 2 s at most, so each round asks the store anew.
_ROUND_SECONDS = 2.1
_PAGE = 100


def measure(
    store_url: str, now: float, searches: Mapping[str, TaskQuery], folder: Path, rounds: int
) -> dict[str, float]:
    """Milliseconds of each question to a new process of the API, from request to whole answer.

    Args:
        now: what time it is there, in seconds since the epoch.
        searches: name to what is searched for; of one that goes on for several pages the first.
        rounds: in each, every question is asked once.
    """
    requests = {
        **{f"search, {name}": _search(query) for name, query in searches.items()},
        **{f"trends {w}": ("/api/v1/analytics/trends", {"window": w}) for w in _WINDOWS},
        "dashboard/stats": ("/api/v1/dashboard/stats", {}),
        "dashboard/queue-depth": ("/api/v1/dashboard/queue-depth", {}),
        "list, RUNNING": ("/api/v1/tasks", {"status": "RUNNING", "limit": _PAGE}),
        "list, in_dlq": ("/api/v1/tasks", {"in_dlq": "true"}),
    }
    seconds: dict[str, list[float]] = {name: [] for name in requests}
    with _api(store_url, now, folder) as http:
        for _ in range(rounds):
            began = time.perf_counter()
            for name, (path, parameters) in requests.items():
                seconds[name].append(_ask(http, path, parameters))
            time.sleep(max(0.0, began + _ROUND_SECONDS - time.perf_counter()))
    figures: dict[str, float] = {}
    for name, values in seconds.items():
        of_name = spread(values, "ms", 1e3)
        figures |= {f"HTTP, {name}, {part}": of_name[part] for part in ("p50 ms", "p95 ms")}
        figures[f"HTTP, {name}, first answer of a new replica, ms"] = values[0] * 1e3
    return figures


def _ask(http: httpx.Client, path: str, parameters: Mapping[str, Any]) -> float:
    began = time.perf_counter()
    answer = http.get(path, params=parameters)
    took = time.perf_counter() - began
    answer.raise_for_status()
    return took


def _search(query: TaskQuery) -> tuple[str, dict[str, Any]]:
    """Path and parameters of the request that asks the store this."""
    parameters: dict[str, Any] = {
        "status": [status.value for status in query.statuses],
        "queue": query.queue,
        "name": query.name,
        "in_dlq": query.in_dlq,
        "worker_id": query.worker_id,
        "tag": query.tag,
        "error": query.error,
        "q": query.text,
        "from": None if query.submitted_from is None else to_rfc3339(query.submitted_from),
        "to": None if query.submitted_to is None else to_rfc3339(query.submitted_to),
        "cursor": None if query.before_seq is None else cursor_of(query.before_seq),
        "limit": _PAGE,
    }
    return "/api/v1/search/tasks", {k: v for k, v in parameters.items() if v not in (None, [])}


@contextmanager
def _api(store_url: str, now: float, folder: Path) -> Iterator[httpx.Client]:
    (port,) = free_ports(1)
    command = [
        sys.executable, "-m", "benchmarks.analytics_api", store_url, str(port), repr(now),
    ]  # fmt: skip
    with (
        own_process(command, folder / "analytics_api.log", cwd=ROOT) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http,
    ):
        wait_until_ready(server, lambda: _answers(http))
        yield http


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/health/live").is_success
    except httpx.TransportError:
        return False
