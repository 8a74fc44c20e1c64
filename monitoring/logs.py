"""Structured logs: one JSON object a line, or coloured lines for a person at a terminal.

Fields and order follow the monitoring guide: timestamp (UTC, milliseconds, Z), level in upper case,
logger, event, then what belongs to the event. What libraries log in this process has the same form.
"""

import json
import logging
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

import structlog

from task_queue.clock import SystemClock, to_rfc3339

_FIRST = ("timestamp", "level", "logger", "event")
_clock = SystemClock()
_json = json.JSONEncoder(default=repr)  # made once: `json.dumps` makes one for every line


def configure_logs(level: str, style: str, stream: TextIO | None = None) -> None:
    """Set up this process.

    Args:
        level: DEBUG, INFO, WARNING or ERROR; lines below it cost next to nothing.
        style: "json" or "console".
        stream: where to write; None: the standard error of this moment.
    """
    stream = stream or sys.stderr
    renderer: Any = structlog.processors.JSONRenderer(lambda line, **_: _json.encode(line))
    if style == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=stream.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _stamp,
            structlog.processors.format_exc_info,
            _in_order,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for older in [handler for handler in root.handlers if isinstance(handler, _LibraryLines)]:
        root.removeHandler(older)
    root.addHandler(_LibraryLines(max(logging.getLevelName(level), logging.WARNING)))


def get_logger(name: str) -> Any:
    """A logger whose lines carry `name`; it may be made before `configure_logs`, as modules do.

    Any: structlog makes its methods by level at run time.
    """
    # `bind` would keep what is configured now: by default tracebacks with all local variables,
    # among them headers and arguments.
    return structlog.get_logger(logger_name=name)  # `logger` is a parameter of structlog itself


def write_lines(name: str, event: str, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write lines of one event at INFO, with one time and in one go.

    A fraction of the price of as many calls of a logger. What is bound to the context of whoever
    calls is not in them.
    """
    if not structlog.get_logger().bind().is_enabled_for(logging.INFO):
        return
    config = structlog.get_config()
    render = config["processors"][-1]
    begin = _in_order(None, "info", _stamp(None, "info", {"logger_name": name, "event": event}))
    texts = [render(None, "info", {**begin, **line}) for line in lines]
    if texts:
        config["logger_factory"]().msg("\n".join(texts))


class _LibraryLines(logging.Handler):
    """What libraries log, as lines of ours: exceptions that nobody awaited, for example.

    Nothing below WARNING: libraries tell URLs and more there.
    """

    def emit(self, record: logging.LogRecord) -> None:
        try:
            log = get_logger(record.name)
            said = {"exc_info": record.exc_info} if record.exc_info else {}
            # A level of a library's own is told as the one below it.
            known = next(n for n in _LEVELS if record.levelno >= n)
            getattr(log, _LEVELS[known])(record.getMessage(), **said)
        except Exception:  # noqa: BLE001  logging says so itself, on the standard error
            self.handleError(record)


_LEVELS = {logging.CRITICAL: "critical", logging.ERROR: "error", logging.WARNING: "warning"}


def _stamp(_logger: Any, method: str, line: Any) -> Any:
    if "logger_name" in line:
        line["logger"] = line.pop("logger_name")
    line["timestamp"] = to_rfc3339(_clock.now())
    line["level"] = "ERROR" if method == "exception" else method.upper()
    return line


def _in_order(_logger: Any, _method: str, line: Any) -> Any:
    return {**{key: line[key] for key in _FIRST if key in line}, **line}
