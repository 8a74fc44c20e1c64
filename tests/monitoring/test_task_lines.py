"""The log lines of single tasks, as the monitoring guide shows them."""

import json

import pytest
import structlog

from monitoring.logs import configure_logs, get_logger
from monitoring.task_lines import TaskLines
from task_queue.core.effects import Changes, Effects
from task_queue.core.status import Outcome, Status
from task_queue.core.task import Report, Task, TaskSpec

_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
_SECRET = "hunter2"


def task_lines(lines_per_second: int) -> TaskLines:
    """Writes to the standard error of this moment."""
    configure_logs("INFO", "json")
    return TaskLines(lines_per_second)


def task(number: int = 1, traceparent: str | None = None) -> Task:
    spec = TaskSpec(
        f"task-{number}", "process_payment", "payments", 8, _SECRET.encode(),
        traceparent=traceparent, request_id="req-uuid",
    )  # fmt: skip
    return Task(spec, number, 100.0, Status.COMPLETED, worker_id="worker-1")


def ended(number: int = 1, traceparent: str | None = None) -> tuple[Task, Report]:
    report = Report(
        f"task-{number}", 1, Outcome.SUCCEEDED, 100.0, 4.85, _SECRET.encode(), logs=_SECRET
    )
    return task(number, traceparent), report


def turn(*inserted: Task, ended: list[tuple[Task, Report]] | None = None) -> Effects:
    return Effects(Changes(inserted=list(inserted), ended=ended or []))


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    text = capsys.readouterr().err
    assert _SECRET not in text
    told = [json.loads(line) for line in text.splitlines()]
    for line in told:
        assert str(line.pop("timestamp")).endswith("Z")
        assert line.pop("level") == "INFO"
    return told


def test_a_submit_and_an_end_have_the_fields_of_the_guide(
    capsys: pytest.CaptureFixture[str],
) -> None:
    task_lines(10).take(turn(task(), ended=[ended()]), 1_000.0)
    assert lines(capsys) == [
        {
            "logger": "task_service", "event": "task_submitted", "task_id": "task-1",
            "task_name": "process_payment", "priority": 8, "queue": "payments",
            "request_id": "req-uuid",
        },
        {
            "logger": "task_executor", "event": "task_execution_complete", "task_id": "task-1",
            "worker_id": "worker-1", "duration_ms": 4_850.0, "status": "COMPLETED",
            "request_id": "req-uuid",
        },
    ]  # fmt: skip


def test_the_trace_of_the_caller_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    traced = f"00-{_TRACE}-00f067aa0ba902b7-01"
    task_lines(10).take(turn(task(1, traced), ended=[ended(1, traced)]), 1_000.0)
    assert [line["trace_id"] for line in lines(capsys)] == [_TRACE, _TRACE]


def test_a_flood_is_counted_and_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    told = task_lines(3)
    told.take(turn(*map(task, range(5)), ended=[ended(9)]), 1_000.2)
    told.take(turn(task(6)), 1_000.9)
    assert [line["task_id"] for line in lines(capsys)] == ["task-0", "task-1", "task-2"]
    told.take(turn(task(7)), 1_001.0)
    left_out, next_one = lines(capsys)
    assert (left_out["event"], left_out["count"]) == ("task_lines_left_out", 4)
    assert next_one["task_id"] == "task-7"


def test_none_are_written_if_none_are_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    told = task_lines(0)
    told.take(turn(task()), 1_000.0)
    told.take(turn(), 1_001.0)
    assert lines(capsys) == []


def test_a_logger_made_before_the_logs_are_set_up_obeys_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    structlog.reset_defaults()
    log = get_logger("api")
    configure_logs("INFO", "json")
    secret = "".join(["hunter", "2"])
    try:
        raise RuntimeError(f"a bug {len(secret)}")
    except RuntimeError:
        log.exception("request_failed")
    finally:
        structlog.reset_defaults()
    said = capsys.readouterr().err
    line = json.loads(said)
    assert list(line)[:4] == ["timestamp", "level", "logger", "event"]
    assert (line["level"], line["logger"]) == ("ERROR", "api")
    assert "a bug 7" in line["exception"]
    assert "hunter2" not in said  # no values of variables
