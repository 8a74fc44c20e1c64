"""Waits for a server that was just started."""

import subprocess
import time
from collections.abc import Callable

_MOST_SECONDS = 30
_POLL_SECONDS = 0.05


def wait_until_ready(server: subprocess.Popen[bytes], ready: Callable[[], bool]) -> None:
    """Return as soon as `ready`, if the server has not ended, as when its port was taken.

    Raises:
        ChildProcessError: it has ended.
        TimeoutError: it is not ready after 30 seconds.
    """
    deadline = time.monotonic() + _MOST_SECONDS
    while not ready() and server.poll() is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"not ready after {_MOST_SECONDS} seconds")
        time.sleep(_POLL_SECONDS)
    if server.poll() is not None:
        raise ChildProcessError(f"it has ended with status {server.returncode}")
