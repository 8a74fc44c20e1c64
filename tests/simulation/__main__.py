"""`python -m tests.simulation [--seeds N] [--first S]`: a campaign of simulated worlds.

A seed that breaks a promise is printed with the proof; `--seeds 1 --first SEED` replays it.
"""

import argparse
import logging
import sys
from collections import Counter
from random import Random

import structlog

from task_queue.clock import SystemClock
from tests.simulation.plan import stormy
from tests.simulation.world import World


def main() -> int:
    """Run the campaign; 1 if a seed broke a promise."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    wanted = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    clock = SystemClock()
    began, seconds, records = clock.monotonic(), 0.0, Counter[str]()
    broken: Counter[str] = Counter()
    for seed in range(wanted.first, wanted.first + wanted.seeds):
        world = World(seed, stormy(Random(seed)))
        violations = world.run()
        seconds += world.seconds
        records.update(record.kind.value for record in world.history)
        broken.update({violation.rule for violation in violations})
        if violations:
            print(f"seed {seed}:", *violations, sep="\n")
    print(f"{wanted.seeds} seeds, {seconds / 3600:.1f} virtual hours, "
          f"{clock.monotonic() - began:.0f} s of real time")  # fmt: skip
    print("records:", dict(sorted(records.items())))
    print("seeds that broke a promise, by rule:", dict(broken) or "none")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
