"""How many submits does the HTTP API take, from 1, 4 and 16 callers at once?

    python -m benchmarks.bench_submit_rate [--short]

A cluster of its own with SQLite and fsync. The callers are keep-alive connections of one process
that does nothing else, each with one request under way. Single: a no-op task per POST
/api/v1/tasks, requests per second and milliseconds per request. Batch: 1,000 no-op tasks per POST
/api/v1/tasks/batch, tasks accepted per second. The tasks are executed meanwhile; before the next
measurement all are done.
"""

import msgspec

from benchmarks.flags import flags
from benchmarks.http_load import Answered, post
from benchmarks.own_cluster import RunningCluster, running_cluster
from benchmarks.report import report, spread
from benchmarks.throughput import Throughput
from task_queue.client.client import Client
from task_queue.wire import BatchRequest, SubmitRequest

_CALLERS = (1, 4, 16)
_NOOP = SubmitRequest("task_queue.noop")
_SINGLES = 6_000
_BATCHES = 60
_BATCH = 1_000
_PATH = "/api/v1/tasks"


class SubmitRate:
    """Measures on one cluster."""

    def __init__(self, cluster: RunningCluster, client: Client) -> None:
        self._url = cluster.url
        self._throughput = Throughput(cluster, client)
        self._done = self._throughput.completed()

    def single(self, callers: int, count: int) -> dict[str, float]:
        """One task for each request."""
        answered = self._post(_PATH, msgspec.json.encode(_NOOP), callers, count, 1)
        figures = {f"single, {callers} callers: per second": count / answered.seconds}
        for name, value in spread(answered.latencies, "ms", 1e3).items():
            figures[f"single, {callers} callers: {name}"] = value
        return figures

    def batch(self, callers: int, count: int) -> dict[str, float]:
        """A thousand tasks for each request."""
        body = msgspec.json.encode(BatchRequest([_NOOP] * _BATCH))
        answered = self._post(f"{_PATH}/batch", body, callers, count, _BATCH)
        rate = count * _BATCH / answered.seconds
        return {f"batches of 1,000, {callers} callers: tasks per second": rate}

    def _post(self, path: str, body: bytes, callers: int, count: int, tasks: int) -> Answered:
        answered = post(self._url, path, body, callers, count)
        self._done += count * tasks
        self._throughput.wait_for(self._done)
        return answered


def main() -> None:
    share = 4 if flags(__doc__).short else 1
    figures: dict[str, float] = {}
    with running_cluster() as cluster, Client(cluster.url) as client:
        rate = SubmitRate(cluster, client)
        rate.single(_CALLERS[-1], _SINGLES // share)  # warm
        rate.batch(_CALLERS[-1], _BATCHES // share)
        for callers in _CALLERS:
            figures |= rate.single(callers, _SINGLES // share)
        for callers in _CALLERS:
            figures |= rate.batch(callers, _BATCHES // share)
    report("bench_submit_rate", figures)


if __name__ == "__main__":
    main()
