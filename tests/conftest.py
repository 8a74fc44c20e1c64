"""How hard Hypothesis looks: quickly and always alike, or `HYPOTHESIS_PROFILE=thorough`."""

import os

from hypothesis import HealthCheck, settings

_IN_CI = bool(os.environ.get("CI"))
# A slow moment of a shared machine is not a failure, so there are no deadlines.
_COMMON = settings(
    deadline=None, database=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)

settings.register_profile(
    "quick", _COMMON, max_examples=40, stateful_step_count=40, derandomize=True
)
settings.register_profile(
    "thorough", _COMMON, max_examples=1_000, stateful_step_count=100, derandomize=_IN_CI
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
