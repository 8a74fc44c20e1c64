"""When a failed task runs again: capped exponential back-off with full jitter.

Full jitter (a uniform draw between zero and the exponential bound) spreads retries best under
contention: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. We keep half
of the bound as a floor ("equal jitter" there), so that a retry never follows at once.
"""

from collections.abc import Callable


def backoff_seconds(
    failures: int, base_seconds: float, cap_seconds: float, random: Callable[[], float]
) -> float:
    """Seconds to wait after the `failures`-th failure (1, 2, ...).

    Between half of and the whole of ``min(cap, base * 2 ** (failures - 1))``; `random` draws
    uniformly from [0, 1).
    """
    # 2 ** 64 seconds is past any cap; bounding the exponent keeps the float finite.
    bound = min(cap_seconds, base_seconds * 2.0 ** min(failures - 1, 64))
    return bound * (0.5 + 0.5 * random())
