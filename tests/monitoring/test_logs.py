"""How a process's log lines are set up."""

import io
import json
import logging

from monitoring.logs import configure_logs, get_logger, write_lines


def test_a_logger_that_was_made_before_the_set_up_follows_it() -> None:
    early = get_logger("api")
    stream = io.StringIO()
    configure_logs("WARNING", "json", stream)
    early.info("not this")
    early.warning("this", number=1)
    (line,) = map(json.loads, stream.getvalue().splitlines())
    assert line.pop("timestamp").endswith("Z")
    assert line == {"level": "WARNING", "logger": "api", "event": "this", "number": 1}
    assert list(json.loads(stream.getvalue()))[:4] == ["timestamp", "level", "logger", "event"]


class TestLinesOfLibraries:
    def test_have_the_form_of_ours_once(self) -> None:
        stream = io.StringIO()
        for _ in range(2):
            configure_logs("DEBUG", "json", stream)
        logging.getLogger("asyncio").error("Task exception was never retrieved: %s", "oh")
        (line,) = map(json.loads, stream.getvalue().splitlines())
        assert line.pop("timestamp").endswith("Z")
        assert line == {
            "level": "ERROR", "logger": "asyncio", "event": "Task exception was never retrieved: oh"
        }  # fmt: skip

    def test_have_the_traceback_without_values(self) -> None:
        stream = io.StringIO()
        configure_logs("INFO", "json", stream)
        secret = "".join(["hunter", "2"])
        try:
            raise RuntimeError(f"a bug {len(secret)}")
        except RuntimeError:
            logging.getLogger("psycopg").exception("it failed")
        line = json.loads(stream.getvalue())
        assert (line["level"], "a bug 7" in line["exception"]) == ("ERROR", True)
        assert "hunter2" not in stream.getvalue()

    def test_below_warning_or_our_own_level_are_left_out(self) -> None:
        stream = io.StringIO()
        configure_logs("DEBUG", "json", stream)
        logging.getLogger("httpx").info("GET http://127.0.0.1/?key=hunter2")
        configure_logs("ERROR", "json", stream)
        logging.getLogger("redis").warning("slow")
        logging.getLogger("redis").log(logging.CRITICAL + 5, "gone")
        (line,) = map(json.loads, stream.getvalue().splitlines())
        assert (line["level"], line["event"]) == ("CRITICAL", "gone")


def test_lines_that_are_written_together_look_as_if_each_was_by_itself() -> None:
    stream = io.StringIO()
    configure_logs("INFO", "json", stream)
    rows: list[dict[str, object]] = [{"number": 1, "text": "Zürich"}, {"number": 2}]
    write_lines("api", "this", rows)
    for row in rows:
        get_logger("api").info("this", **row)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    for line in lines:
        assert line.pop("timestamp").endswith("Z")
    assert lines[:2] == lines[2:]
    assert list(lines[0]) == ["level", "logger", "event", "number", "text"]


def test_lines_below_the_level_are_not_made() -> None:
    stream = io.StringIO()
    configure_logs("WARNING", "json", stream)
    write_lines("api", "this", ({"number": 1 // none} for none in (0,)))  # it would fail
    assert stream.getvalue() == ""


def test_lines_are_written_together_for_a_person_as_well() -> None:
    stream = io.StringIO()
    configure_logs("INFO", "console", stream)
    write_lines("api", "this", [{"number": 1}, {"number": 2}])
    first, second = stream.getvalue().splitlines()
    assert "this" in first
    assert "number=1" in first
    assert "number=2" in second
