"""What does PostgreSQL do for the throughput end to end, beside SQLite?

    python -m benchmarks.bench_postgres [--short]

No-op tasks as in bench_end_to_end, first with SQLite, then with a PostgreSQL of the benchmark's own
on this machine: fsync and synchronous_commit on. Median, lowest and highest of five runs.
"""

from benchmarks.bench_end_to_end import noop_figures
from benchmarks.flags import flags
from benchmarks.own_cluster import running_cluster
from benchmarks.peers.private_postgres import private_postgres
from benchmarks.report import report
from benchmarks.throughput import Throughput
from task_queue.client.client import Client

_NOOP = "task_queue.noop"
_TASKS = 50_000
_RUNS = 5


def measure(store_url: str | None, tasks: int) -> dict[str, float]:
    """Rates and processor times with one store."""
    with running_cluster(store_url) as cluster, Client(cluster.url) as client:
        throughput = Throughput(cluster, client)
        throughput.run(_NOOP, ((),) * (tasks // 5))  # warm
        return noop_figures([throughput.run(_NOOP, ((),) * tasks) for _ in range(_RUNS)])


def main() -> None:
    tasks = _TASKS // 2 if flags(__doc__).short else _TASKS
    figures = {f"SQLite, {name}": value for name, value in measure(None, tasks).items()}
    with private_postgres() as server:
        measured = measure(server.url, tasks)
    figures |= {f"PostgreSQL, {name}": value for name, value in measured.items()}
    report("bench_postgres", figures)


if __name__ == "__main__":
    main()
