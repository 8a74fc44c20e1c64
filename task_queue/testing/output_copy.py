"""What a task prints, kept beside the terminal: a debugger in a task goes on to work."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO, cast


class _Copying:
    """A stream that writes to another one and to a copy; else it is that other one."""

    def __init__(self, stream: TextIO, copy: io.StringIO) -> None:
        self._stream = stream
        self._copy = copy

    def write(self, text: str) -> int:
        self._copy.write(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def output_copy() -> Iterator[io.StringIO]:
    """A copy of what is printed to stdout and stderr, in the order in which it is printed."""
    copy = io.StringIO()
    stdout, stderr = (cast(TextIO, _Copying(s, copy)) for s in (sys.stdout, sys.stderr))
    with redirect_stdout(stdout), redirect_stderr(stderr):
        yield copy
