"""What does a queue cost while it has nothing to do?

    python -m benchmarks.bench_idle [--short]

A cluster of its own, 5 s after its start: processor time in 20 s, % of one core, of each of our
processes, of these in sum, and of Ray's. Then the same for the 10 s right after four times 50,000
tasks and 300 single ones: whatever is still busy then is a fault.

If one of our processes takes more than 20 % in two seconds, its stack is written beside the JSON,
and so is that of the busiest one if all of ours take 3 % or more (needs py-spy in the environment).
"""

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.cpu_by_process import OURS, REST, CpuByProcess, ProcessTime
from benchmarks.flags import flags
from benchmarks.own_cluster import RunningCluster, running_cluster
from benchmarks.report import FOLDER, report
from benchmarks.throughput import Throughput
from task_queue.client.client import Client

_NOOP = "task_queue.noop"
_SETTLE_SECONDS = 5.0
_WINDOW_SECONDS = 2.0
_RUNS, _TASKS, _SINGLES = 4, 50_000, 300
_BUSY = 0.2  #: of a core, for one process
_BUSY_IN_SUM = 0.03  #: the goal
_PY_SPY = Path(sys.prefix) / "bin" / "py-spy"
_STACKS = FOLDER / "bench_idle-stacks.txt"


def watch(cluster: RunningCluster, name: str, seconds: float) -> dict[str, float]:
    """% of a core by process, with a look every two seconds at whether one is busy."""
    whole = CpuByProcess(cluster.cluster_id)
    while whole.elapsed() < seconds:
        window = CpuByProcess(cluster.cluster_id)
        time.sleep(_WINDOW_SECONDS)
        for process in _ours(window):
            if process.seconds > _BUSY * window.elapsed():
                _dump(process, f"{name}: {process.seconds / window.elapsed():.0%} of a core")
    elapsed = whole.elapsed()
    processes, roles = _ours(whole), whole.roles()
    total = sum(process.seconds for process in processes)
    if total >= _BUSY_IN_SUM * elapsed:
        _dump(processes[0], f"{name}: the busiest of {total / elapsed:.1%} of a core")
    used = {role: roles[role] for role in OURS} | {
        "all of ours": total, "HAProxy": roles["HAProxy"], REST: roles[REST],
        "largest of ours": processes[0].seconds,
    }  # fmt: skip
    return {f"{name}: {role}, % of a core": value / elapsed * 100 for role, value in used.items()}


def _ours(cpu: CpuByProcess) -> list[ProcessTime]:
    return [process for process in cpu.processes() if process.role in OURS]


def _dump(process: ProcessTime, why: str) -> None:
    """Write down what a process is doing."""
    said = f"{why}, {process.role}, process {process.pid}"
    print(f"# {said}", file=sys.stderr)
    if not _PY_SPY.exists():
        return
    done = subprocess.run(
        [_PY_SPY, "dump", "--pid", str(process.pid)], capture_output=True, text=True, check=False
    )
    FOLDER.mkdir(parents=True, exist_ok=True)
    with _STACKS.open("a") as file:
        file.write(f"{said}\n{done.stdout}{done.stderr}\n")


def load(cluster: RunningCluster, share: int) -> None:
    """What a busy process was once seen after."""
    with Client(cluster.url) as client:
        throughput = Throughput(cluster, client)
        for _ in range(_RUNS):
            throughput.run(_NOOP, ((),) * (_TASKS // share))
        for _ in range(_SINGLES):
            client.submit(_NOOP).result(timeout=30)


def main() -> None:
    short = flags(__doc__).short
    _STACKS.unlink(missing_ok=True)
    with running_cluster() as cluster:
        time.sleep(_SETTLE_SECONDS)
        figures = watch(cluster, "idle", 10.0 if short else 20.0)
        load(cluster, 4 if short else 1)
        figures |= watch(cluster, "after load", 6.0 if short else 10.0)
    report("bench_idle", figures)


if __name__ == "__main__":
    main()
