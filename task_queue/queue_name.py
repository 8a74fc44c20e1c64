"""What a queue may be called: the one rule that settings, `@task` and the API hold names against.

Names stand in URLs, in labels of metrics and in log lines, so that they have no spaces, no control
characters and nothing that must be escaped there. "*" is no name: in settings it stands for every
queue that no pool names.
"""

import re

_MAX_LENGTH = 255
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/-]*")
_SHOWN_LENGTH = 60


def queue_name_fault(name: str) -> str | None:
    """Why a queue cannot be called `name`, with the cure; None if it can."""
    if not name:
        return "the name of a queue must not be empty"
    if len(name) > _MAX_LENGTH:
        return f"give queue names of at most {_MAX_LENGTH} characters, not {len(name)}"
    if _NAME.fullmatch(name) is None:
        return (
            f"{name[:_SHOWN_LENGTH]!a} cannot name a queue: begin with a letter, a digit or _ "
            "and use only those and . : / -"
        )
    return None
