"""What tasks print."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Play = Callable[..., None]


def test_all_ways_to_print_are_captured_for_the_task_that_used_them(play: Play) -> None:
    async def story(driver: Any) -> None:
        first, second = driver.give("prints"), driver.give("add", 1)
        logs = (await driver.report(first)).logs
        for words in ("print", "stderr", "os.write", "C", "a program"):
            assert f"from {words}\n" in logs
        assert logs.endswith("no newline")
        assert (await driver.report(second)).logs == ""

    play(story)


def test_output_is_text_that_any_store_can_hold(play: Play) -> None:
    async def story(driver: Any) -> None:
        assert (await driver.run("prints_odd")).logs == "ab\ufffd\n\\ud800\n"

    play(story)


def test_a_task_that_closes_stdout_harms_no_other(play: Play) -> None:
    async def story(driver: Any) -> None:
        assert (await driver.run("closes_stdout")).outcome == "succeeded"
        assert "from print" in (await driver.run("prints")).logs

    play(story)


def test_a_flood_is_cut_in_the_report_and_on_disk(play: Play) -> None:
    async def story(driver: Any) -> None:
        task_id = driver.give("floods")
        await driver.told(task_id)
        (host,) = driver.pool._hosts
        written = 50_000_000
        await driver.until(
            lambda: os.fstat(host.process.output.fd).st_size > written, "a flood of 50 MB"
        )
        # More comes while we look, but much less than what was written in all.
        await driver.until(
            lambda: os.fstat(host.process.output.fd).st_blocks * 512 < written / 2, "a trimming"
        )
        driver.cancel(task_id)
        report = await driver.report(task_id)
        assert report.logs.startswith("yyyy")
        assert "[output cut: kept the first 1000 of " in report.logs
        assert len(report.logs) < 1_200

    play(story, log_cap_bytes=1_000)


def test_coroutines_have_their_own_output_and_cap(play: Play) -> None:
    async def story(driver: Any) -> None:
        ids = [driver.give("meet", 3) for _ in range(3)]
        for task_id in ids:
            logs = (await driver.report(task_id)).logs
            assert logs == f"hello from {task_id}\nbye from {task_id}"
        logs = (await driver.run("async_floods", 50)).logs
        assert (
            logs == ("z" * 99 + "\n") * 10 + "\n[output cut: kept the first 1000 of 5000 bytes]\n"
        )

    play(story, slots=3, log_cap_bytes=1_000)


def test_trimming_frees_blocks_and_keeps_head_and_size(tmp_path: Path) -> None:
    from actors.executor_output import ChildOutput

    output = ChildOutput(10_000)
    try:
        os.write(output.fd, b"h" * 10_000)
        for _ in range(50):
            os.write(output.fd, b"t" * 100_000)
        full = os.fstat(output.fd).st_blocks
        output.trim()
        assert os.fstat(output.fd).st_blocks < full / 10
        assert os.fstat(output.fd).st_size == 5_010_000
        assert output.read().startswith("h" * 10_000 + "\n[output cut")
    finally:
        output.close()


def test_trimming_works_where_holes_cannot_be_punched(monkeypatch: pytest.MonkeyPatch) -> None:
    from actors import executor_output

    monkeypatch.setattr(executor_output, "_fallocate", None)
    output = executor_output.ChildOutput(10)
    try:
        os.write(output.fd, b"0123456789" + b"t" * 3_000_000)
        output.trim()
        assert os.fstat(output.fd).st_size == 10
        assert output.read() == "0123456789"
    finally:
        output.close()
