"""How a process's log lines are set up."""

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from monitoring.logs import configure_logs, get_logger


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


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
