"""What a campaign says of itself: sums that can be trusted, and nothing good of what went wrong."""

from msgspec.structs import replace

from cluster.chaos.plan import Fault, FaultKind, Plan
from cluster.chaos.report import CampaignReport, Hit, ScheduleReport, counts_of, ends_of
from task_queue.history import Kind, Record, Violation

_FAULTS = (Fault(1.0, FaultKind.WORKER, 0, 0.0), Fault(2.0, FaultKind.SCHEDULER_PAUSE, 0, 4.0))
_GOOD = ScheduleReport(
    plan=Plan(7, 5.0, 20.0, _FAULTS), seconds=9.0,
    hits=[Hit(_FAULTS[0], "pid 1"), Hit(_FAULTS[1], "")],
    counts={"accepted": 10, "started": 12, "finished": 11}, ends={"COMPLETED": 9, "CANCELLED": 1},
    answers={"submit: 503": 3}, violations=[], closed=True,
)  # fmt: skip
_TRACES = ["supervisor: there is no such process"]
_BROKEN = Violation("lost", "a", "it was accepted and never ended", [])


def _report(*schedules: ScheduleReport) -> CampaignReport:
    return CampaignReport("SQLite", 5.0, ["worker"], list(schedules))


def test_a_schedule_tells_its_plan_its_counts_and_the_answers() -> None:
    told = str(_GOOD)
    assert "seed 7: worker at 1.0 s, scheduler-pause at 2.0 s for 4.0 s (1 hit nothing)" in told
    assert "10 accepted, 12 attempts begun, 1 CANCELLED, 9 COMPLETED, 0 violations" in told
    assert "3 x submit: 503" in told


def test_a_campaign_sums_up_what_hit_and_what_missed() -> None:
    told = _report(_GOOD, _GOOD).summary()
    assert "2 schedules in 18 s on SQLite" in told
    assert "faults: worker 2; 2 hit nothing" in told
    assert "20 acknowledgements, 24 attempts begun, 22 ended by the task" in told
    assert "violations: 0" in told
    assert not _report(_GOOD).broken


def test_a_broken_promise_a_late_one_or_an_open_end_is_a_failure() -> None:
    broken = replace(_GOOD, violations=[_BROKEN])
    still_open = replace(_GOOD, closed=False, traces=_TRACES)
    late = replace(_report(_GOOD), late_violations=[_BROKEN])
    assert _report(broken).broken and _report(_GOOD, still_open).broken and late.broken
    assert "[7]" in _report(still_open).summary() and "NOT CLOSED" in str(still_open)
    assert _TRACES[0] in str(still_open)
    assert str(_BROKEN) in str(broken) and str(_BROKEN) in late.summary()


def test_counts_and_ends_are_those_of_the_history() -> None:
    history = [
        Record(1.0, Kind.ACCEPTED, "a"),
        Record(2.0, Kind.OVER, "a", status="COMPLETED"),
        Record(3.0, Kind.OVER, "a", status="COMPLETED"),
        Record(3.0, Kind.OVER, "b", status="CANCELLED"),
    ]
    assert counts_of(history) == {"accepted": 1, "over": 3}
    assert ends_of(history) == {"COMPLETED": 1, "CANCELLED": 1}
