"""A slice of the campaign: real processes are killed, stopped and cut off, and no promise breaks.

`python -m tests.chaos` runs as many schedules as one likes; docs/reliability.md has the figures.
"""

import asyncio
from pathlib import Path

import msgspec
import pytest

from cluster.chaos.campaign import Campaign
from cluster.chaos.plan import FaultKind
from cluster.chaos.report import CampaignReport
from tests.chaos.staging import staging
from tests.faults.own_cluster import OwnCluster

pytestmark = [pytest.mark.ray, pytest.mark.timeout(500)]

_LOAD_SECONDS = 3.0
#: Chosen so that each kind of fault that leaves Ray alone is among them.
_SEEDS = {"sqlite": (3, 18), "postgres": (3, 40, 96)}


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_no_promise_breaks_under_seeded_faults(store: str, tmp_path: Path) -> None:
    with staging(store) as made:
        campaign = Campaign(made.target, _LOAD_SECONDS, print)
        report = asyncio.run(campaign.run(_SEEDS[store]))
        assert not report.broken, report.summary()
        # The test would be worth nothing if the faults had missed, or nothing had run under them.
        hits = [hit for s in report.schedules for hit in s.hits]
        assert sum(bool(hit.victim) for hit in hits) >= len(hits) - 1
        assert {end for s in report.schedules for end in s.ends} <= {
            "COMPLETED",
            "CANCELLED",
            "FAILED",
        }
        assert all(s.counts["accepted"] > 5 for s in report.schedules)
        _check_command(made.cluster, tmp_path / "report.json")


def _check_command(cluster: OwnCluster, file: Path) -> None:
    """The same, as a person has it done to a queue of their own."""
    options = ("--kill", "executor", "--seed", "5", "--schedules", "1", "--seconds", "1")
    done = cluster.run("chaos", *options, "--json", str(file))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "seed 5: executor at" in done.stdout and "violations: 0" in done.stdout
    (schedule,) = msgspec.json.decode(file.read_bytes(), type=CampaignReport).schedules
    assert {hit.fault.kind for hit in schedule.hits} == {FaultKind.EXECUTOR}
    assert schedule.closed and schedule.counts["accepted"] > 0
