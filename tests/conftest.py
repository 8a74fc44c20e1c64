"""What all tests share: how hard Hypothesis looks, and servers that only tests use.

Hypothesis looks quickly and always alike, or with `HYPOTHESIS_PROFILE=thorough`.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import structlog
from hypothesis import HealthCheck, settings

from benchmarks.peers.broker import Broker
from benchmarks.peers.private_postgres import PrivatePostgres, private_postgres
from benchmarks.peers.private_redis import private_redis

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


@pytest.fixture
def redis_server() -> Iterator[Broker]:
    """A Redis of the test's own, on the loopback interface."""
    with ExitStack() as servers:
        try:
            broker = servers.enter_context(private_redis())
        except FileNotFoundError as error:
            if "CI" in os.environ:
                raise
            pytest.skip(str(error))
        yield broker


@pytest.fixture(scope="session")
def start_postgres() -> Iterator[Callable[[], PrivatePostgres]]:
    """Starts a server of the test's own, on the loopback interface; all end with the session."""
    with ExitStack() as servers:

        def start() -> PrivatePostgres:
            try:
                return servers.enter_context(private_postgres())
            except FileNotFoundError as error:
                if "CI" in os.environ:
                    raise
                pytest.skip(str(error))

        yield start


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """`configure_logs` says where lines go, of ours and of libraries: not beyond the test that
    called it, or whose actor did."""
    root = logging.getLogger()
    before = set(root.handlers)
    yield
    for handler in set(root.handlers) - before:
        root.removeHandler(handler)
    structlog.reset_defaults()
