"""The command line: arguments, output for people and programs, exit codes."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from task_queue.cli.main import main
from task_queue.cli.session import ConnectionSettings
from task_queue.testing import FakeClock
from tests.client.conftest import URL
from tests.client.fake_api import NOW, FakeApi, problem
from tests.client.test_event_stream import lines, stream
from tests.client.test_operations import SCHEDULE, WORKER

Cli = Callable[..., Result]


@pytest.fixture
def cli(api: FakeApi, clock: FakeClock) -> Cli:
    """Run the command with these words; `typed` is what a person types when asked."""
    settings = ConnectionSettings(
        URL, transport=httpx.MockTransport(api), clock=clock, sleep=clock.advance
    )

    def run(*words: str, typed: str | None = None) -> Result:
        result = CliRunner().invoke(main, words, obj=settings, input=typed)
        assert result.exception is None or isinstance(result.exception, SystemExit), result
        return result

    return run


# --- submit


def test_submit_prints_the_id_alone(api: FakeApi, cli: Cli) -> None:
    result = cli("submit", "images.thumbnail", "cat.png", "128", "-k", "format=png")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "task-00000\n", "")
    assert api.bodies == [
        {"name": "images.thumbnail", "args": ["cat.png", 128], "kwargs": {"format": "png"}}
    ]


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("cat.png", "cat.png"), ("128", 128), ("1.5", 1.5), ("true", True), ("null", None),
        ("[1, 2]", [1, 2]), ('{"a": 1}', {"a": 1}), ('"128"', "128"), ("two words", "two words"),
        ("2026-01-25", "2026-01-25"), ("", ""), ('"NaN"', "NaN"),
        ("nano", "nano"), ("1e5", 1e5),
    ],
)  # fmt: skip
def test_a_word_is_json_or_else_a_string(api: FakeApi, cli: Cli, word: str, value: Any) -> None:
    cli("submit", "a.task", word, "-k", f"x={word}")
    assert api.bodies[0]["args"] == [value] and api.bodies[0]["kwargs"] == {"x": value}


def test_negative_numbers_go_behind_two_dashes(api: FakeApi, cli: Cli) -> None:
    assert cli("submit", "math.add", "--priority", "3", "--", "-1", "2").exit_code == 0
    assert api.bodies[0]["args"] == [-1, 2] and api.bodies[0]["priority"] == 3


def test_submit_sends_every_option(api: FakeApi, cli: Cli) -> None:
    cli("submit", "a.task", "--queue", "q", "--priority", "0", "--delay-seconds", "0",
        "--timeout-seconds", "9", "--max-retries", "0", "--expires-at", NOW,
        "--idempotency-key", "k", "--tag", "x", "--tag", "y", "--kwargs", '{"a": [1]}')  # fmt: skip
    cli("submit", "a.task", "--run-at", NOW)
    assert api.bodies[0] == {
        "name": "a.task", "kwargs": {"a": [1]}, "queue": "q", "priority": 0, "delay_seconds": 0.0,
        "timeout_seconds": 9.0, "max_retries": 0, "expires_at": NOW, "idempotency_key": "k",
        "tags": ["x", "y"],
    }  # fmt: skip
    assert api.bodies[1]["run_at"] == NOW


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["{broken"], "starts like JSON"),
        (["--kwargs", "[1]"], "not a JSON object"),
        (["-k", "x"], "NAME=VALUE"),
        (["--kwargs", '{"x": 1}', "-k", "x=2"], "given twice"),
        (["-k", "priority=3"], "--priority"),
        (["-k", "tags=3"], "--tag"),
        (["--priority", "10"], "0<=x<=9"),
        (["--run-at", "2026-01-25T14:00:00"], "time zone"),
        (["--prioritty", "3"], "No such option"),
        (["NaN"], "write it in quotes inside the shell's quotes: '\"NaN\"'"),
        (["-k", "x=Infinity"], "'Infinity' is a number that JSON does not have"),
        (["1e999"], "'1e999' is a number that JSON does not have"),
        (["--", "-1e999"], "'-1e999' is a number that JSON does not have"),
        (["[NaN]"], "starts like JSON"),
        (["[" * 5_000 + "]" * 5_000], "nested too deeply"),
        (["--kwargs", '{"a":' * 5_000 + "1" + "}" * 5_000], "not a JSON object"),
        (["\udcff"], "lone surrogate"),
        (["--delay-seconds", "nan"], "nan is not a finite number of seconds"),
        (["--delay-seconds", "inf"], "inf is not a finite number of seconds"),
        (["--timeout-seconds", "inf"], "inf is not a finite number of seconds"),
        (["--timeout-seconds", "0"], "not in the range x>0"),
        (["--run-at", "yesterday"], "give RFC 3339, such as 2026-01-25T14:00:00Z"),
    ],
)
def test_wrong_usage_ends_with_2(api: FakeApi, cli: Cli, words: list[str], complaint: str) -> None:
    result = cli("submit", "a.task", *words)
    assert result.exit_code == 2 and complaint in result.stderr
    assert api.requests == []


@pytest.mark.parametrize("words", [("result", "t", "--wait", "nan"), ("doctor", "--wait", "inf")])
def test_a_wait_is_finite(api: FakeApi, cli: Cli, words: tuple[str, ...]) -> None:
    result = cli(*words)
    assert result.exit_code == 2 and "not a finite number of seconds" in result.stderr
    assert api.requests == []


def test_the_help_says_what_is_refused_and_what_is_followed(cli: Cli) -> None:
    text = " ".join(cli("submit", "--help").stdout.split())
    assert "NaN, Infinity" in text and "'\"NaN\"' for the string NaN" in text
    assert "as it ends" in cli("tail", "--help").stdout


def test_submit_can_wait_for_the_result(api: FakeApi, cli: Cli) -> None:
    result = cli("submit", "a.task", "1", "--wait")
    assert json.loads(result.stdout) == [1]
    assert "task-00000" in result.stderr
    api.runs = None

    def fail(seconds: float) -> None:
        api.fail("task-00001")

    api.while_waiting = fail
    result = cli("submit", "a.task", "--wait")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("task-queue: task task-00001: ValueError: bad picture\n")


# --- looking at a task


def test_result(api: FakeApi, cli: Cli, clock: FakeClock) -> None:
    cli("submit", "a.task", '{"a": 1}')
    assert json.loads(cli("result", "task-00000").stdout) == [{"a": 1}]
    assert json.loads(cli("result", "task-00000", "--json").stdout) == {
        "task_id": "task-00000", "status": "COMPLETED", "result": [{"a": 1}], "error": None,
    }  # fmt: skip
    api.runs = None
    cli("submit", "a.task")
    result = cli("result", "task-00001")
    assert result.exit_code == 1 and "is QUEUED, not over after 0 s" in result.stderr
    start = clock.now()
    assert cli("result", "task-00001", "--wait", "5").exit_code == 1
    assert clock.now() - start == 5


def test_a_failure_as_json_is_on_stdout_and_ends_with_1(api: FakeApi, cli: Cli) -> None:
    api.runs = None
    cli("submit", "a.task")
    api.fail("task-00000")
    result = cli("result", "task-00000", "--json")
    assert result.exit_code == 1
    shown = json.loads(result.stdout)
    assert (shown["status"], shown["error"]["message"]) == ("FAILED", "bad picture")


def test_status_shows_the_error_and_where_it_came_from(api: FakeApi, cli: Cli) -> None:
    api.runs = None
    cli("submit", "a.task", "--tag", "[red]x")
    api.fail("task-00000", traceback="Traceback\n  line 3")
    text = cli("status", "task-00000").stdout
    assert "ValueError: bad picture" in text and "  line 3" in text and "[red]x" in text
    assert "expires_at" not in text  # what is not set is not shown
    assert json.loads(cli("--json", "status", "task-00000").stdout)["status"] == "FAILED"


def test_cancel_and_retry(api: FakeApi, cli: Cli) -> None:
    api.runs = None
    cli("submit", "a.task")
    assert cli("cancel", "task-00000").stdout == "task-00000 is CANCELLED\n"
    again = cli("cancel", "task-00000")
    assert again.exit_code == 2
    assert again.stderr == "task-queue: task task-00000 is CANCELLED (HTTP 409)\n"
    assert cli("retry", "task-00000").stdout == "task-00000 is QUEUED\n"


def test_events_and_logs(api: FakeApi, cli: Cli) -> None:
    event = {"at": NOW, "kind": "attempt_failed", "attempt": 1, "message": "[bold]no"}
    logs = [{"attempt": 1, "text": "one\n"}, {"attempt": 2, "text": "two"}]
    api.canned = {
        "GET /api/v1/tasks/t/events": {"events": [event]},
        "GET /api/v1/tasks/t/logs": {"logs": logs},
    }
    assert "attempt_failed" in cli("events", "t").stdout
    assert "[bold]no" in cli("events", "t").stdout  # shown, not taken for a style
    assert cli("logs", "t").stdout == "--- attempt 1\none\n--- attempt 2\ntwo\n"
    assert json.loads(cli("logs", "t", "--json").stdout) == logs


def test_list(api: FakeApi, cli: Cli) -> None:
    for number in range(3):
        cli("submit", "a.task", str(number))
    text = cli("list", "--status", "COMPLETED", "--in-dlq", "--limit", "2").stdout
    assert "task-00001" in text and "task-00002" not in text
    assert api.requests[-1].url.path == "/api/v1/tasks"
    assert api.requests[-1].url.params["in_dlq"] == "true"
    assert len(json.loads(cli("list", "--json").stdout)) == 3
    cli("list", "-q", "cat", "--from", NOW)
    assert api.requests[-1].url.path == "/api/v1/search/tasks"
    assert api.requests[-1].url.params["from"] == NOW
    assert cli("list", "--from", "yesterday").exit_code == 2
    assert cli("list", "--status", "FAILED").stdout == "none\n"


def test_tail_follows_until_ctrl_c(api: FakeApi, cli: Cli) -> None:
    api.troubles = [stream(lines(7)), stream(lines(8)), KeyboardInterrupt()]
    result = cli("tail", "--last-event-id", "6")
    assert result.exit_code == 0
    assert [line.split()[2] for line in result.stdout.splitlines()] == ["t7", "t8"]
    assert [r.headers["last-event-id"] for r in api.requests] == ["6", "7", "8"]
    api.troubles = [stream(lines(9)), KeyboardInterrupt()]
    assert json.loads(cli("tail", "--json").stdout)["cursor"] == "9"


# --- the queue itself


def test_queues(api: FakeApi, cli: Cli) -> None:
    queue = {
        "queue": "q", "paused": True, "queued": 2, "delayed": 1, "running": 0, "by_priority": {},
        "oldest_wait_seconds": None, "pools": ["cpu", "gpu"],
    }  # fmt: skip
    api.canned = {
        "GET /api/v1/queues": {"queues": [queue]},
        "POST /api/v1/queues/q/pause": {"queue": "q", "paused": True},
        "POST /api/v1/queues/q/resume": {"queue": "q", "paused": False},
        "POST /api/v1/queues/q/purge": {"count": 2},
    }
    assert "cpu, gpu" in cli("queues").stdout
    assert cli("queues", "list").stdout == cli("queues").stdout
    assert json.loads(cli("queues", "--json").stdout) == [queue]
    assert "paused" in cli("queues", "pause", "q").stdout
    assert json.loads(cli("queues", "--json", "resume", "q").stdout)["paused"] is False
    asked = len(api.requests)
    refused = cli("queues", "purge", "q", typed="n\n")
    assert refused.exit_code == 130 and "nothing was changed" in refused.stderr
    assert len(api.requests) == asked
    assert "2 tasks" in cli("queues", "purge", "q", typed="y\n").stdout
    assert "2 tasks" in cli("queues", "purge", "q", "--yes").stdout


def test_workers(api: FakeApi, cli: Cli) -> None:
    api.canned = {"GET /api/v1/workers": {"workers": [WORKER]}}
    for verb in ("pause", "resume", "drain"):
        api.canned[f"POST /api/v1/workers/w1/{verb}"] = {"worker_id": "w1", "status": verb}
    assert "1/4" in cli("workers").stdout
    for verb in ("pause", "resume", "drain"):
        assert cli("workers", verb, "w1").stdout == f"w1 is {verb}\n"


def test_schedules_and_task_types(api: FakeApi, cli: Cli) -> None:
    every = {**SCHEDULE, "id": "often", "cron": None, "interval_seconds": 90.0}
    task_type = {
        "name": "math.add", "signature": "math.add(left: int, right: int)", "doc": "Add.",
        "queue": "default", "priority": 5, "max_retries": 3, "timeout_seconds": None,
        "executor": "process", "pools": [],
    }  # fmt: skip
    api.canned = {
        "GET /api/v1/schedules": {"schedules": [SCHEDULE, every]},
        "GET /api/v1/task-types": {"task_types": [task_type]},
    }
    text = cli("schedules").stdout
    assert "0 6 * * * UTC" in text and "90 s" in text
    assert "math.add(left: int, right: int)" in cli("task-types").stdout


def test_dead_letters(api: FakeApi, cli: Cli) -> None:
    api.canned = {
        "POST /api/v1/dlq/replay": {"count": 3, "dry_run": True},
        "POST /api/v1/dlq/purge": {"count": 1_234},
    }
    assert cli("dlq").stdout == cli("dlq", "list").stdout == "none\n"
    assert api.requests[0].url.params["in_dlq"] == "true"
    assert "3 tasks would be" in cli("dlq", "replay", "--queue", "q", "--dry-run").stdout
    assert api.bodies[-1] == {"filter": {"queue": "q"}, "limit": 1000, "dry_run": True}
    asked = cli("dlq", "purge", "--error", "OOM", typed="y\n")
    assert "error=OOM" in asked.stderr and "1,234 tasks" in asked.stdout
    assert "all dead letters" in cli("dlq", "purge", typed="n\n").stderr


def test_health(api: FakeApi, cli: Cli) -> None:
    checks = {"database": {"status": "healthy"}, "redis": {"status": "not_configured"}}
    api.canned["GET /health"] = {"status": "healthy", "checks": checks}
    result = cli("health")
    assert result.exit_code == 0 and "not_configured" in result.stdout
    api.troubles = [httpx.Response(503, json={"status": "unhealthy", "checks": {}})]
    assert cli("health").exit_code == 1


# --- connection and errors


def test_the_options_of_the_connection_may_stand_on_either_side(api: FakeApi, cli: Cli) -> None:
    for words in (["--url", "http://b", "--api-key", "K", "--json", "list"],
                  ["list", "--url", "http://b", "--api-key", "K", "--json"]):  # fmt: skip
        assert cli(*words).stdout == "[]\n"
        assert api.requests[-1].url.host == "b"
        assert api.requests[-1].headers["authorization"] == "Bearer K"


def test_an_unreachable_queue_ends_with_3_at_once(api: FakeApi, cli: Cli, clock: FakeClock) -> None:
    api.troubles = [httpx.ConnectError("Connection refused")]
    start = clock.now()
    result = cli("list")
    assert result.exit_code == 3 and clock.now() == start
    assert result.stderr.startswith(f"task-queue: no task queue answers at {URL}")
    assert result.stderr.count("\n") == 1


def test_a_refusal_ends_with_2_in_one_line(api: FakeApi, cli: Cli) -> None:
    api.troubles = [problem(422, "no task 'imge.thumb';\ndid you mean 'image.thumb'?")]
    result = cli("submit", "imge.thumb")
    assert result.exit_code == 2
    assert result.stderr == (
        "task-queue: no task 'imge.thumb'; did you mean 'image.thumb'? (HTTP 422)\n"
    )
    assert cli("status", "nothing").exit_code == 2
    assert cli("--url", "nonsense", "list").exit_code == 2


def test_an_id_is_never_cut(api: FakeApi, cli: Cli) -> None:
    name = "a.task" * 40
    cli("submit", name)
    assert name in cli("list").stdout and "task-00000" in cli("list").stdout
