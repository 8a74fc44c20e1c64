"""A seed is a plan: always the same one, of what may be hit and of nothing else."""

from cluster.chaos.plan import PAUSES, WIDE, FaultKind, Plan, plan_of

_LEASE_SECONDS = 3.0
_LOAD_SECONDS = 5.0
_SEEDS = range(400)


def _plans(*kinds: FaultKind) -> list[Plan]:
    return [plan_of(seed, kinds, _LOAD_SECONDS, _LEASE_SECONDS) for seed in _SEEDS]


def _hit(plans: list[Plan]) -> set[FaultKind]:
    return {fault.kind for plan in plans for fault in plan.faults}


def test_a_seed_gives_its_plan_whatever_the_order_of_the_kinds() -> None:
    forward, backward = list(FaultKind), list(reversed(FaultKind))
    assert _plans(*forward) == _plans(*backward)
    assert len({plan.faults for plan in _plans(*forward)}) > 0.9 * len(_SEEDS)


def test_only_what_may_be_hit_is_hit() -> None:
    assert _hit(_plans(FaultKind.WORKER, FaultKind.STREAMS)) == {
        FaultKind.WORKER, FaultKind.STREAMS,
    }  # fmt: skip
    assert _hit(_plans(*FaultKind)) == set(FaultKind)


def test_a_schedule_has_two_to_four_faults_one_that_takes_all_down_or_only_a_crowd() -> None:
    plans = _plans(*FaultKind)
    wide = [plan for plan in plans if any(fault.kind in WIDE for fault in plan.faults)]
    crowds = [plan for plan in plans if not plan.faults]
    others = [plan for plan in plans if plan not in wide and plan not in crowds]
    assert all(len(plan.faults) == 1 for plan in wide)
    assert {len(plan.faults) for plan in others} == {2, 3, 4}
    assert 0 < len(wide) < 0.1 * len(plans) and 0 < len(crowds) < 0.1 * len(plans)
    assert min(plan.tasks_per_second for plan in crowds) > max(
        plan.tasks_per_second for plan in others
    )


def test_if_only_ray_may_be_hit_it_is() -> None:
    assert _hit(_plans(FaultKind.GCS)) == {FaultKind.GCS}


def test_faults_come_in_order_under_load_and_pauses_outlast_a_lease() -> None:
    for plan in _plans(*FaultKind):
        times = [fault.at for fault in plan.faults]
        assert times == sorted(times)
        assert all(0.0 < at < _LOAD_SECONDS for at in times)
        for fault in plan.faults:
            if fault.kind in PAUSES:
                assert fault.seconds > _LEASE_SECONDS
            if fault.kind in (FaultKind.WORKER, FaultKind.CLIENTS):
                assert fault.seconds == 0.0
