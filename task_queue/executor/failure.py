"""What an exception says, as a TaskError: its class, its message, and the part of the traceback
that is the user's own. Must work for any exception, also for one whose `__str__` raises.
"""

import importlib
import os
import traceback
from types import TracebackType

from task_queue.core.task import TaskError

_MAX_MESSAGE_CHARACTERS = 4_000
_MAX_TRACEBACK_CHARACTERS = 16_384
_TRACEBACK_HEAD_CHARACTERS = 4_096
#: Frames of these files are the executor's own; what it calls is the user's.
_OUR_FILES = (__file__.rpartition(os.sep)[0] + os.sep, importlib.__file__, "<frozen importlib")


def describe_failure(error: BaseException) -> TaskError:
    """The error as it is reported and shown."""
    return TaskError(type(error).__name__, message_of(error), users_traceback(error))


def message_of(error: BaseException) -> str:
    """The exception's text, cut after 4,000 characters."""
    try:
        text = str(error)
    except Exception as broken:  # noqa: BLE001  the user's own __str__
        text = f"(its message cannot be shown: __str__ raised {type(broken).__name__})"
    if len(text) > _MAX_MESSAGE_CHARACTERS:
        text = f"{text[:_MAX_MESSAGE_CHARACTERS]} [{len(text)} characters in all]"
    return storable(text)


def users_traceback(error: BaseException) -> str:
    """The traceback from the first frame that is not the executor's, at most 16 KB.

    The middle goes first: how it began and what was raised are the parts that are read.
    """
    frames = traceback.format_exception(type(error), error, _first_of_user(error.__traceback__))
    text = storable("".join(frames))
    if len(text) <= _MAX_TRACEBACK_CHARACTERS:
        return text
    tail = _MAX_TRACEBACK_CHARACTERS - _TRACEBACK_HEAD_CHARACTERS
    cut = len(text) - _MAX_TRACEBACK_CHARACTERS
    return f"{text[:_TRACEBACK_HEAD_CHARACTERS]}\n[{cut} characters cut]\n{text[-tail:]}"


def storable(text: str) -> str:
    """`text` without what UTF-8 or a store cannot hold: lone surrogates and NUL."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def _first_of_user(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OUR_FILES):
        trace = trace.tb_next
    return trace
