"""Runs the benchmarks, one after the other, and prints one table of the key figures and the goals.

    python -m benchmarks            the short form of those that have a goal
    python -m benchmarks --long     all, as long as each takes

A goal is for two cores with nothing else running on them.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Literal

from msgspec import Struct

from benchmarks.report import FOLDER, machine


class Goal(Struct, frozen=True):
    """One key figure and what it is to be."""

    benchmark: str
    figure: str
    sense: Literal[">=", "<=", "<"]
    wanted: float

    def reached(self, value: float) -> bool:
        """Whether a value is good enough."""
        if self.sense == ">=":
            return value >= self.wanted
        return value < self.wanted or (self.sense == "<=" and value == self.wanted)


_GOALS = (
    Goal("bench_end_to_end", "no-op: done per second, median", ">=", 50_000),
    Goal("bench_latency", "over HTTP at idle, p50 ms", "<=", 3.6),
    Goal("bench_latency", "over HTTP at idle, p99 ms", "<=", 12),
    Goal("bench_latency", "inside the cluster at idle, p50 ms", "<=", 2.5),
    Goal("bench_submit_rate", "single, 16 callers: per second", ">=", 2_000),
    Goal("bench_end_to_end", "1 ms CPU: the tasks' own code, % of the executors' CPU", ">=", 95),
    Goal("bench_end_to_end", "1 ms CPU: executors' CPU around a task, microseconds", "<", 50),
    Goal("bench_backlog", "1,000,000 waiting: cost, ratio to 1,000", "<=", 1.3),
    Goal("bench_memory", "filled: peak memory, MB", "<=", 600),
    Goal("bench_memory", "drained: peak memory, MB", "<=", 600),
    Goal("bench_instrumentation", "on / off", ">=", 0.95),
    Goal("bench_instrumentation", "CPU per task, on / off", "<=", 1.05),
    Goal("bench_idle", "idle: all of ours, % of a core", "<", 3),
)


def run(benchmark: str, short: bool) -> bool:
    """Run one in a process of its own. Returns whether it ended well."""
    command = [sys.executable, "-m", f"benchmarks.{benchmark}", *(["--short"] if short else [])]
    print(f"== {' '.join(command[2:])}", file=sys.stderr)
    (FOLDER / f"{benchmark}.json").unlink(missing_ok=True)  # an old figure is no figure
    return subprocess.run(command, check=False).returncode == 0


def table() -> str:
    """The key figures beside their goals; what was not measured is a dash."""
    lines = [f"{'':<68} {'measured':>12}  {'goal':>9}"]
    for goal in _GOALS:
        name = f"{goal.benchmark.removeprefix('bench_')}: {goal.figure}"
        wanted = f"{goal.sense} {goal.wanted:,g}"
        value = _figure(goal)
        if value is None:
            lines.append(f"{name:<68} {'-':>12}  {wanted:>9}")
        else:
            mark = "" if goal.reached(value) else "  missed"
            lines.append(f"{name:<68} {value:>12,.2f}  {wanted:>9}{mark}")
    return "\n".join(lines)


def _figure(goal: Goal) -> float | None:
    path = FOLDER / f"{goal.benchmark}.json"
    if not path.exists():
        return None
    value = json.loads(path.read_text())["figures"].get(goal.figure)
    return None if value is None else float(value)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--long", action="store_true", help="all, as long as each takes")
    long = parser.parse_args().long
    with_goal = dict.fromkeys(goal.benchmark for goal in _GOALS)
    every = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    failed = [name for name in (every if long else with_goal) if not run(name, short=not long)]
    print("# " + ", ".join(f"{key} {value}" for key, value in machine().items()))
    print(table())
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
