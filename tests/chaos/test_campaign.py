"""A slice of the campaign: real processes are killed, stopped and cut off, and no promise breaks.

`python -m tests.chaos` runs as many schedules as one likes; docs/reliability.md has the figures.
"""

import asyncio

import pytest

from cluster.chaos.campaign import Campaign
from tests.chaos.staging import staging

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280)]

_LOAD_SECONDS = 3.0
#: Chosen so that each kind of fault that leaves Ray alone is among them.
_SEEDS = {"sqlite": (14, 21), "postgres": (3, 21)}


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_no_promise_breaks_under_seeded_faults(store: str) -> None:
    with staging(store, wide=False) as target:
        campaign = Campaign(target, _LOAD_SECONDS, print)
        report = asyncio.run(campaign.run(_SEEDS[store]))
    assert not report.broken, report.summary()
    # The test would be worth nothing if the faults had missed, or nothing had run under them.
    assert sum(bool(hit.victim) for s in report.schedules for hit in s.hits) >= 6
    assert {end for s in report.schedules for end in s.ends} <= {"COMPLETED", "CANCELLED"}
    assert all(s.counts["accepted"] > 20 for s in report.schedules)
