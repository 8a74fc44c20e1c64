"""Is this code faster than that of another checkout? Two clusters side by side, measured in turns.

    python -m benchmarks.in_turns ../other [--blocks 14] [--latencies 60] [--slots 1]

`../other` is another checkout of this project in which `make venv` was run, such as one of
`git worktree add`. Each of the two has a cluster as in bench_end_to_end, with its own code and its
own Python. One at a time works: a block is a run of no-op tasks and some `client.run` at idle on
the one, then on the other, the next block the other way round. What is told are medians over the
blocks of *this / other*: what else the machine does comes and goes in seconds, and both sides of a
block see much the same of it. Without any change the medians move by 3 or 4 hundredths. Two
clusters also differ by chance for all their lives: run it from the other checkout as well.
"""

import argparse
import json
import os
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from benchmarks.own_folder import ROOT
from benchmarks.report import report

_SIDE = Path(__file__).with_name("turn_side.py")


class SideFigures(Struct):
    """What one side did in one block."""

    done_per_second: float
    cpu_microseconds: float  #: per task, of all processes
    latency_ms: float  #: median of `client.run`
    by_role: dict[str, float]  #: `cpu_microseconds` by what the processes are for


class Side:
    """A process that keeps a cluster of one checkout."""

    def __init__(self, checkout: Path, slots: int) -> None:
        """Begins to start; `wait` tells when it is there."""
        # Not a module of either checkout, so that the other need not have it.
        self._process = subprocess.Popen(
            [checkout / ".venv" / "bin" / "python", "-P", _SIDE, str(slots)],
            cwd=checkout, env={**os.environ, "PYTHONPATH": str(checkout)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def wait(self) -> None:
        """Until it can be asked."""
        self._read()

    def measure(self, tasks: int, latencies: int) -> SideFigures:
        """So many no-op tasks and so many latencies."""
        assert self._process.stdin is not None
        print(tasks, latencies, file=self._process.stdin, flush=True)
        return SideFigures(**self._read())

    def end(self) -> None:
        """End its cluster."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("one of the two clusters ended; what it printed is above")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def two_sides(other: Path, slots: int) -> Iterator[tuple[Side, Side]]:
    """This checkout's and the other's, both started."""
    with ExitStack() as stack:
        sides = []
        for checkout in (ROOT, other):
            side = Side(checkout, slots)
            stack.callback(side.end)
            side.wait()
            sides.append(side)
        yield sides[0], sides[1]


def run_blocks(
    this: Side, other: Side, blocks: int, tasks: int, latencies: int
) -> list[tuple[SideFigures, SideFigures]]:
    """(this, other) of each block, after one of each that does not count."""
    measured = []
    for number in range(blocks + 1):
        order = (this, other) if number % 2 else (other, this)
        figures = {side: side.measure(tasks, latencies) for side in order}
        if number:
            measured.append((figures[this], figures[other]))
    return measured


def figures_of(blocks: Sequence[tuple[SideFigures, SideFigures]]) -> dict[str, float]:
    """Medians of each side and of the quotients of neighbours."""
    figures: dict[str, float] = {}
    for name in ("done_per_second", "cpu_microseconds", "latency_ms"):
        pairs = [(getattr(this, name), getattr(other, name)) for this, other in blocks]
        quotients = sorted(mine / theirs for mine, theirs in pairs)
        figures |= {
            f"{name}: this / other": statistics.median(quotients),
            f"{name}: this / other, lowest quarter": quotients[len(quotients) // 4],
            f"{name}: this / other, highest quarter": quotients[-1 - len(quotients) // 4],
            f"{name}: this": statistics.median(mine for mine, _ in pairs),
            f"{name}: other": statistics.median(theirs for _, theirs in pairs),
        }
    for role in blocks[0][0].by_role:
        for place, side in enumerate(("this", "other")):
            figures[f"CPU microseconds, {role}: {side}"] = statistics.median(
                block[place].by_role.get(role, 0.0) for block in blocks
            )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=Path, help="the folder of another checkout")
    parser.add_argument("--blocks", type=int, default=14)
    parser.add_argument("--tasks", type=int, default=40_000, help="of each side in a block")
    parser.add_argument("--latencies", type=int, default=60, help="of each side in a block")
    parser.add_argument("--slots", type=int, default=1, help="of the one worker")
    asked = parser.parse_args()
    if asked.blocks < 1 or asked.latencies < 2:
        parser.error("one block and two latencies at least")
    with two_sides(asked.other.resolve(), asked.slots) as (this, other):
        blocks = run_blocks(this, other, asked.blocks, asked.tasks, asked.latencies)
    report("in_turns", figures_of(blocks))


if __name__ == "__main__":
    main()
