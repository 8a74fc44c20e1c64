"""What a SIGTERM means to an actor whose one call has Ray's thread to itself: nothing.

In an actor that waits for calls Ray notes the signal and goes on while a call is open. Here its
handler would raise SystemExit in the middle of that call, and leave a process that lives and does
nothing.
"""

import signal


def outlive_sigterm() -> None:
    """To be called in the main thread.

    With a handler, not `SIG_IGN`: children would inherit that, and so would what tasks start.
    """
    signal.signal(signal.SIGTERM, lambda _signal, _frame: None)
