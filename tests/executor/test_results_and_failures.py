"""What a task returns or raises, as it is reported."""

import json
from collections.abc import Callable
from typing import Any

import pytest

Play = Callable[..., None]


def test_a_result_comes_back_with_its_times(play: Play) -> None:
    async def story(driver: Any) -> None:
        report = await driver.run("add", 2, 3)
        assert (report.outcome, report.result, report.attempt) == ("succeeded", b"5", 1)
        assert report.started_at > 1_600_000_000
        assert 0 < report.duration_seconds < 5
        assert driver.pool.holding() == []

    play(story)


def test_the_four_builtin_tasks_work(play: Play) -> None:
    async def story(driver: Any) -> None:
        assert await driver.result("task_queue.noop") is None
        assert await driver.result("task_queue.echo", {"a": [1, None]}) == {"a": [1, None]}
        assert await driver.result("task_queue.sleep", 0.001) is None
        report = await driver.run("task_queue.fail", "on purpose")
        assert (report.outcome, report.error.message) == ("failed", "on purpose")

    play(story)


def test_start_returns_the_task_types(make_driver: Any) -> None:
    import asyncio

    async def scene() -> None:
        driver = make_driver()
        types = {t.name: t for t in await driver.pool.start()}
        await driver.pool.stop(0.0)
        assert {"add", "meet", "task_queue.noop"} <= types.keys()
        assert types["meet"].options.executor == "async"
        assert types["task_queue.fail"].options.max_retries == 0

    asyncio.run(scene())


@pytest.mark.parametrize("name", ["boom", "async_boom"])
@pytest.mark.parametrize(
    ("kind", "retryable"),
    [("ValueError", True), ("SystemExit", False), ("KeyboardInterrupt", False)],
)
def test_an_exception_is_a_failure(play: Play, name: str, kind: str, retryable: bool) -> None:
    async def story(driver: Any) -> None:
        report = await driver.run(name, kind)
        assert (report.outcome, report.error.type, report.error.message) == (
            "failed", kind, "it broke",
        )  # fmt: skip
        assert report.retryable is retryable
        assert "_deep" in report.error.traceback
        assert "task_queue/executor" not in report.error.traceback
        assert await driver.result("add", 1) == 1

    play(story)


def test_never_retry_on_makes_a_failure_final(play: Play) -> None:
    async def story(driver: Any) -> None:
        assert not (await driver.run("boom", "ZeroDivisionError")).retryable

    play(story)


def test_exceptions_that_cannot_be_shown_are_still_reported(play: Play) -> None:
    async def story(driver: Any) -> None:
        report = await driver.run("unprintable")
        assert report.error.type == "_Unprintable"
        assert "__str__ raised RuntimeError" in report.error.message
        report = await driver.run("long_traceback")
        assert len(report.error.traceback) < 17_000
        assert "characters cut" in report.error.traceback
        assert len(report.error.message) < 5_000

    play(story)


def test_retry_and_cancel(play: Play) -> None:
    async def story(driver: Any) -> None:
        report = await driver.run("retry_later", 12.5)
        assert (report.outcome, report.retryable, report.retry_after_seconds) == (
            "failed", True, 12.5,
        )  # fmt: skip
        assert (report.error.type, report.error.message) == ("Retry", "not yet")
        report = await driver.run("retry_later", "soon")
        assert report.retry_after_seconds is None
        assert "Retry(after='soon') was ignored" in report.error.message
        report = await driver.run("give_up")
        assert (report.outcome, report.retryable) == ("failed", False)
        assert (report.error.type, report.error.message) == ("Cancel", "the user is gone")

    play(story)


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("set", "use sorted()"),
        ("nan", "send null instead"),
        ("surrogate", "lone surrogate"),
        ("recursive", "nested too deeply"),
    ],
)
def test_a_result_without_json_form_is_a_final_failure(play: Play, what: str, says: str) -> None:
    async def story(driver: Any) -> None:
        report = await driver.run("returns", what)
        assert (report.outcome, report.retryable) == ("failed", False)
        assert report.error.type == "NotJsonError"
        assert says in report.error.message

    play(story)


def test_a_result_above_the_cap_is_a_final_failure(play: Play) -> None:
    async def story(driver: Any) -> None:
        assert len(await driver.result("large", 998)) == 998
        report = await driver.run("large", 999)
        assert (report.error.type, report.retryable) == ("ResultTooLarge", False)
        assert "1001 bytes" in report.error.message
        assert "raise limits.max_result_bytes" in report.error.message

    play(story, result_cap_bytes=1_000)


def test_arguments_and_results_of_megabytes_pass(play: Play) -> None:
    async def story(driver: Any) -> None:
        size = 5_000_000
        ids = [driver.give("length", "x" * size) for _ in range(3)]
        for task_id in ids:
            assert (await driver.report(task_id)).result == str(size).encode()
        assert len(await driver.result("large", size)) == size

    play(story)


def test_an_unknown_task_names_the_nearest(play: Play) -> None:
    async def story(driver: Any) -> None:
        report = await driver.run("ad")
        assert (report.outcome, report.retryable) == ("failed", False)
        assert report.error.type == "UnknownTask"
        assert "did you mean 'add'?" in report.error.message

    play(story)


@pytest.mark.parametrize("name", ["add", "async_add"])
def test_wrong_arguments_are_a_final_failure(play: Play, name: str) -> None:
    async def story(driver: Any) -> None:
        report = await driver.run(name, 1, 2, 3)
        assert (report.error.type, report.retryable) == ("TaskArgumentsError", False)
        assert "too many positional arguments" in report.error.message
        report = await driver.run(name)
        assert "missing a required argument: 'a'" in report.error.message
        kwargs = json.dumps({"args": [1], "kwargs": {"c": 1}}).encode()
        report = await driver.run(name, arguments=kwargs)
        assert report.error.type == "TaskArgumentsError"
        report = await driver.run(name, arguments=b"[")
        assert (report.error.type, report.retryable) == ("TaskArgumentsError", False)

    play(story)


@pytest.mark.parametrize("name", ["add", "async_add"])
def test_a_type_error_inside_the_task_is_an_ordinary_failure(play: Play, name: str) -> None:
    async def story(driver: Any) -> None:
        report = await driver.run(name, 1, "2")
        assert (report.error.type, report.retryable) == ("TypeError", True)

    play(story)


_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_current_task_tells_what_the_lease_says(play: Play) -> None:
    async def story(driver: Any) -> None:
        seen = await driver.result(
            "context", task_id="t", queue="q", attempt=4, failures=2, timeout_seconds=60.0,
            request_id="r", traceparent=f"00-{_TRACE}-00f067aa0ba902b7-00",
        )  # fmt: skip
        left = seen.pop("left")
        assert 50 < left <= 60
        assert seen == {
            "id": "t", "name": "context", "queue": "q", "attempt": 4, "max_retries": 3,
            "failures": 2, "request_id": "r", "trace_id": _TRACE,
        }  # fmt: skip
        plain = await driver.result("context")
        assert (plain["left"], plain["request_id"], plain["trace_id"]) == (None, None, None)

    play(story)


def test_current_task_outside_a_task_is_an_error() -> None:
    from task_queue.context import NoCurrentTask, current_task

    with pytest.raises(NoCurrentTask, match="outside a task"):
        current_task()


def test_progress_is_thinned_out_and_its_last_word_kept(play: Play) -> None:
    async def story(driver: Any) -> None:
        report = await driver.run("tell", 5_000)
        assert report.outcome == "succeeded"
        notes = driver.notes[report.task_id]
        assert notes[-1].progress.fraction == 1.0
        assert notes[-1].progress.message == "step 5000"
        assert len(notes) < 100

    play(story)


def test_progress_told_too_soon_arrives_while_the_task_goes_on(play: Play, tmp_path: Any) -> None:
    async def story(driver: Any) -> None:
        gate = tmp_path / "gate"
        task_id = driver.give("tell_and_wait", str(gate))
        newest = "newest"
        await driver.until(
            lambda: any(n.progress.message == newest for n in driver.notes.get(task_id, [])),
            "the second progress",
        )
        assert task_id not in driver.reports
        gate.touch()
        await driver.report(task_id)

    play(story)


def test_a_task_that_forks_and_returns_twice_reports_once(play: Play) -> None:
    async def story(driver: Any) -> None:
        assert await driver.result("forks") == "done"
        assert await driver.result("add", 1) == 1

    play(story)
