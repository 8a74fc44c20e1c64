"""`python -m tests.chaos --store sqlite|postgres [--schedules N] [--first S]`: a fault campaign.

It starts a queue of its own, breaks it in every way that it knows, and prints what came of it. A
seed that breaks a promise is printed with the proof; `--schedules 1 --first SEED` replays its plan.
"""

import argparse
import asyncio
import sys
from pathlib import Path

import msgspec
from msgspec.structs import replace

from cluster.chaos.campaign import Campaign
from cluster.chaos.plan import FaultKind
from tests.chaos.staging import staging
from tests.simulation.planted import PLANTED


def main() -> int:
    """Run the campaign; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--store", choices=["sqlite", "postgres"], required=True)
    parser.add_argument("--schedules", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--keep-gcs", action="store_true",
        help="Ray's GCS keeps its tables: it is killed and started again with them",
    )  # fmt: skip
    parser.add_argument(
        "--real-disk", action="store_true",
        help="the store is where temporary files are: it waits for the disk, which is never full",
    )  # fmt: skip
    parser.add_argument(
        "--only", type=_kinds, default=list(FaultKind), help="kinds of faults: raylet,gcs"
    )
    parser.add_argument("--planted", choices=list(PLANTED), default="", help="a bug to be found")
    wanted = parser.parse_args()
    wide = not (wanted.planted or wanted.keep_gcs)
    with staging(
        wanted.store, wide=wide, keep_gcs=wanted.keep_gcs, planted=wanted.planted,
        real_disk=wanted.real_disk,
    ) as made:  # fmt: skip
        blows = {k: blow for k, blow in made.target.blows.items() if k in wanted.only}
        target = replace(made.target, blows=blows)
        campaign = Campaign(target, wanted.seconds, lambda line: print(line, flush=True))
        try:
            asyncio.run(campaign.run(range(wanted.first, wanted.first + wanted.schedules)))
        finally:
            if wanted.json:
                document = msgspec.json.encode(campaign.report)
                wanted.json.write_bytes(msgspec.json.format(document))
    print(campaign.report.summary())
    return 1 if campaign.report.broken else 0


def _kinds(text: str) -> list[FaultKind]:
    return [FaultKind(name) for name in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
