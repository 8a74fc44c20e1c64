"""A process that ends with the block that started it, and with it everything that it started.

Used with both Pythons, ours and the peers': standard library only.
"""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_STOP_SECONDS = 15


@contextmanager
def own_process(
    command: Sequence[str], log: Path, stop: signal.Signals = signal.SIGTERM, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command`; what it prints goes to `log`, and from there onto the error, if one is raised.

    Args:
        stop: what asks it to end. It is killed if it has not ended 15 seconds later.
        options: more for subprocess.Popen.
    """
    with log.open("ab") as output:
        # A session of its own: Ctrl-C reaches this process only, which then ends the other.
        process = subprocess.Popen(
            command, start_new_session=True, stdin=subprocess.DEVNULL, stderr=output,
            **{"stdout": output, **options},
        )  # fmt: skip
    try:
        yield process
    except Exception as error:
        printed = log.read_text(errors="replace")[-3_000:]
        error.add_note(f"The end of what was printed by {' '.join(command)}:\n{printed}")
        raise
    finally:
        _end(process, stop)


def _end(process: subprocess.Popen[bytes], stop: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(stop)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    with suppress(ProcessLookupError):  # the usual case: nothing of its group is left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
