"""Which lease runs when and where."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

Play = Callable[..., None]


def test_higher_priority_goes_first_then_the_older(play: Play, tmp_path: Path) -> None:
    async def story(driver: Any) -> None:
        gate = tmp_path / "gate"
        first = driver.give("wait_for", str(gate))
        await driver.told(first)
        low, low_too = driver.give("pid", priority=1), driver.give("pid", priority=1)
        normal = driver.give("pid")
        urgent = driver.give("pid", priority=9)
        oldest = driver.give("pid", seq=0)  # was given back once, say
        gate.touch()
        for task_id in (first, low, low_too, normal, urgent, oldest):
            await driver.report(task_id)
        assert driver.order == [first, urgent, oldest, normal, low, low_too]

    play(story)


def test_slots_run_at_the_same_time_in_warm_processes(play: Play, tmp_path: Path) -> None:
    async def story(driver: Any) -> None:
        pids = []
        for turn in ("one", "two"):
            gate = tmp_path / turn
            ids = [driver.give("wait_for", str(gate)) for _ in range(4)]
            for task_id in ids[:3]:
                await driver.told(task_id)
            assert ids[3] not in driver.notes
            gate.touch()
            pids.append({(await driver.report(task_id)).result for task_id in ids})
        assert len(pids[0]) == 3
        assert pids[0] == pids[1]

    play(story, slots=3)


def test_a_quick_task_does_not_wait_for_the_only_child_if_a_slot_is_free(
    play: Play, tmp_path: Path
) -> None:
    async def story(driver: Any) -> None:
        driver.teach("add")  # so quick that no second child is worth its start
        gate = tmp_path / "gate"
        slow = driver.give("wait_for", str(gate))
        await driver.told(slow)
        driver.clock.advance(0.03)  # longer than a start takes
        await driver.run("add", 1)
        assert slow not in driver.order
        gate.touch()
        await driver.report(slow)

    play(story, slots=2)


def test_coroutines_take_slots_as_well(play: Play, tmp_path: Path) -> None:
    async def story(driver: Any) -> None:
        asleep = driver.give("sleep_long")
        await driver.told(asleep)
        gate = tmp_path / "gate"
        busy, waiting = driver.give("wait_for", str(gate)), driver.give("wait_for", str(gate))
        await driver.told(busy)
        gate.touch()
        await driver.report(waiting)
        assert driver.notes.keys() >= {busy, waiting}
        gate.unlink()
        busy, waiting = driver.give("wait_for", str(gate)), driver.give("wait_for", str(gate))
        await driver.told(busy)
        assert driver.pool._hosts.used_slots == 2
        driver.clock.advance(0.06)  # so what runs is not quick, and nothing waits behind it
        driver.cancel(asleep)
        await driver.told(waiting)
        gate.touch()

    play(story, slots=2)


def test_the_end_of_a_task_is_expected_soon_if_its_kind_was_quick(
    play: Play, tmp_path: Path
) -> None:
    async def story(driver: Any) -> None:
        gate = tmp_path / "gate"
        first = driver.give("wait_for", str(gate))
        await driver.told(first)
        assert not driver.pool.expects_end_within(0.001)  # nobody knows
        driver.teach("wait_for")
        assert driver.pool.expects_end_within(0.001)
        assert not driver.pool.expects_end_within(0.0001)
        gate.touch()
        await driver.report(first)
        assert not driver.pool.expects_end_within(0.001)  # nothing runs

    play(story)


def test_quick_tasks_in_a_chunk_do_not_sit_behind_one_that_turns_out_slow(
    play: Play, tmp_path: Path
) -> None:
    async def story(driver: Any) -> None:
        gate = tmp_path / "gate"
        driver.teach("wait_for")
        slow = driver.lease("wait_for", str(gate))
        quick = [driver.lease("wait_for", str(tmp_path)) for _ in range(6)]
        driver.pool.run([slow, *quick])
        await driver.told(slow.task_id)
        driver.clock.advance(0.06)
        for lease in quick:
            assert (await driver.report(lease.task_id)).outcome == "succeeded"
        assert slow.task_id not in driver.reports
        gate.touch()

    play(story, slots=2)


def test_each_task_runs_exactly_once_under_load(play: Play, tmp_path: Path) -> None:
    async def story(driver: Any) -> None:
        leases = [driver.lease("add", number, 1, priority=number % 10) for number in range(3_000)]
        for start in range(0, len(leases), 100):
            driver.pool.run(leases[start : start + 100])
        for number, lease in enumerate(leases):
            assert (await driver.report(lease.task_id)).result == str(number + 1).encode()
        assert driver.pool.holding() == []

    play(story, slots=2)


def test_a_repeated_grant_runs_once(play: Play) -> None:
    async def story(driver: Any) -> None:
        lease = driver.lease("pid")
        driver.pool.run([lease])
        driver.pool.run([lease])
        await driver.report(lease.task_id)
        await driver.run("pid")  # the driver refuses a second report

    play(story)


def test_wanted_leases_grow_only_with_tasks_known_to_be_short(play: Play) -> None:
    async def story(driver: Any) -> None:
        assert driver.pool.wanted_leases() == 2
        while driver.pool.wanted_leases() <= 20:  # sooner or later, as fast as the machine is
            await driver.run("add", 1)
        assert driver.pool.wanted_leases() <= 2_502
        stranger = driver.give("spin")
        assert driver.pool.wanted_leases() == 2
        await driver.told(stranger)
        driver.cancel(stranger)
        await driver.report(stranger)
        assert driver.pool.wanted_leases() > 2
        for _ in range(4):
            await driver.run("task_queue.sleep", 0.3)
        assert driver.pool.wanted_leases() == 2

    play(story, slots=2)


def test_read_ahead_that_turns_out_slow_is_given_back(play: Play, tmp_path: Path) -> None:
    async def story(driver: Any) -> None:
        gate = tmp_path / "gate"
        driver.teach("wait_for")
        leases = [driver.lease("wait_for", str(gate)) for _ in range(50)]
        driver.pool.run(leases)
        await driver.told(leases[0].task_id)
        await driver.let_pass(0.06)  # so it is not short, and what was sent along comes back
        await driver.told(leases[1].task_id)
        await driver.let_pass(0.06)  # nor is the other, so 48 are too many
        await driver.let_pass(0.4)
        assert driver.reports == {}
        driver.clock.advance(0.2)
        await driver.until(lambda: len(driver.reports) >= 48, "48 leases given back")
        outcomes = [driver.reports[le.task_id].outcome for le in leases[2:]]
        assert outcomes == ["released"] * 48
        assert driver.pool.wanted_leases() == 2
        gate.touch()
        assert (await driver.report(leases[0].task_id)).outcome == "succeeded"

    play(story, slots=2)


def test_one_lease_behind_a_long_task_is_given_back_too(play: Play, tmp_path: Path) -> None:
    async def story(driver: Any) -> None:
        gate = tmp_path / "gate"
        driver.teach("wait_for")
        leases = [driver.lease("wait_for", str(gate)) for _ in range(2)]
        driver.pool.run(leases)
        await driver.told(leases[0].task_id)
        await driver.let_pass(0.06)  # so it is not short
        await driver.let_pass(0.4)
        assert driver.reports == {}
        driver.clock.advance(0.2)
        assert (await driver.report(leases[1].task_id)).outcome == "released"
        gate.touch()
        assert (await driver.report(leases[0].task_id)).outcome == "succeeded"

    play(story)


def test_release_unstarted_keeps_what_runs(play: Play, tmp_path: Path) -> None:
    async def story(driver: Any) -> None:
        gate = tmp_path / "gate"
        driver.teach("wait_for")
        leases = [driver.lease("wait_for", str(gate)) for _ in range(20)]
        driver.pool.run(leases)  # some are in the child already, behind the first
        await driver.told(leases[0].task_id)
        driver.pool.release_unstarted()
        driver.collect()
        released = [driver.reports[le.task_id] for le in leases[1:]]
        assert {(r.outcome, r.started_at) for r in released} == {("released", 0.0)}
        assert driver.pool.holding() == [(leases[0].task_id, 1)]
        gate.touch()
        assert (await driver.report(leases[0].task_id)).outcome == "succeeded"

    play(story)


def test_stop_lets_running_tasks_end_and_releases_the_others(play: Play, tmp_path: Path) -> None:
    import asyncio

    async def story(driver: Any) -> None:
        gate = tmp_path / "gate"
        running, waiting = driver.give("wait_for", str(gate)), driver.give("pid")
        await driver.told(running)
        stopping = asyncio.ensure_future(driver.pool.stop(60.0))
        assert (await driver.report(waiting)).outcome == "released"
        assert driver.pool.wanted_leases() == 0
        late = driver.give("pid")
        assert (await driver.report(late)).outcome == "released"
        gate.touch()
        assert (await driver.report(running)).outcome == "succeeded"
        await stopping
        await driver.pool.stop(0.0)  # may be repeated

    play(story)


def test_stop_without_grace_kills_and_releases(play: Play) -> None:
    async def story(driver: Any) -> None:
        running, coroutine = driver.give("spin"), driver.give("sleep_long")
        await driver.told(running)
        await driver.told(coroutine)
        await driver.pool.stop(0.0)
        for task_id in (running, coroutine):
            report = await driver.report(task_id)
            assert report.outcome == "released"
            assert report.started_at > 0

    play(story, slots=2)


def test_a_child_is_replaced_after_its_share_of_tasks(play: Play) -> None:
    async def story(driver: Any) -> None:
        pids = [await driver.result("pid") for _ in range(6)]
        assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4] == pids[5]
        leases = [driver.lease("add", 1) for _ in range(9)] + [
            driver.lease("async_add", 1) for _ in range(5)
        ]
        driver.pool.run(leases)
        for lease in leases:
            assert (await driver.report(lease.task_id)).outcome == "succeeded"

    play(story, recycle_after_tasks=2, slots=2)


def test_what_is_held_for_too_long_is_given_back_unstarted(play: Play, tmp_path: Path) -> None:
    async def story(driver: Any) -> None:
        gate = tmp_path / "gate"
        running = driver.give("wait_for", str(gate))
        await driver.told(running)
        waiting = driver.give("pid")
        driver.pool.trust_until(0.0)
        report = await driver.report(waiting)
        assert (report.outcome, report.started_at) == ("released", 0.0)
        gate.touch()
        assert (await driver.report(running)).outcome == "succeeded"

    play(story)


def test_what_has_not_started_when_it_expires_is_given_back(play: Play, tmp_path: Path) -> None:
    async def story(driver: Any) -> None:
        gate = tmp_path / "gate"
        running = driver.give("wait_for", str(gate))
        await driver.told(running)
        waiting, timeless = driver.lease("pid"), driver.lease("pid")
        for task_id in (running, waiting.task_id):
            driver.pool.start_before(task_id, 1, driver.clock.monotonic() + 0.2)
        driver.pool.run([waiting, timeless])
        await driver.let_pass(0.1)
        assert not driver.reports
        await driver.let_pass(0.2)
        report = await driver.report(waiting.task_id)
        assert (report.outcome, report.started_at) == ("released", 0.0)
        gate.touch()
        for task_id in (running, timeless.task_id):
            assert (await driver.report(task_id)).outcome == "succeeded"

    play(story)


def test_leases_that_are_declined_are_given_back(play: Play) -> None:
    async def story(driver: Any) -> None:
        lease = driver.lease("pid")
        driver.pool.decline([lease])
        assert (await driver.report(lease.task_id)).outcome == "released"
        assert driver.pool.holding() == []

    play(story)
