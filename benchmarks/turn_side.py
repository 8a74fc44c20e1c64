"""One side of in_turns.py: keeps a cluster of the checkout in whose folder it runs.

Reads how many tasks and latencies are wanted, and answers with what they took, line by line, until
its input ends. A script and not a module: the other checkout, whose code it runs, may be older.
"""

import json
import sys

from benchmarks.bench_latency import over_http
from benchmarks.own_cluster import running_cluster
from benchmarks.report import spread
from benchmarks.throughput import Throughput, microseconds_per_task
from task_queue.client.client import Client


def main() -> None:
    with running_cluster(slots=int(sys.argv[1])) as cluster, Client(cluster.url) as client:
        throughput = Throughput(cluster, client)
        print("{}", flush=True)
        for line in sys.stdin:
            tasks, latencies = map(int, line.split())
            run = throughput.run("task_queue.noop", ((),) * tasks)
            by_role = microseconds_per_task([run])
            answer = {
                "done_per_second": run.done_per_second,
                "cpu_microseconds": sum(by_role.values()),
                "by_role": by_role,
                "latency_ms": spread(over_http(client, latencies), "ms", 1e3)["p50 ms"],
            }
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
