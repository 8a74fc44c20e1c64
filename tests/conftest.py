"""What all tests share: how hard Hypothesis looks, and servers that only tests use.

Hypothesis looks quickly and always alike, or with `HYPOTHESIS_PROFILE=thorough`.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar

import pytest
import structlog
from hypothesis import HealthCheck, settings

from benchmarks.peers.broker import Broker
from benchmarks.peers.private_postgres import PrivatePostgres, private_postgres
from benchmarks.peers.private_redis import private_redis
from tests.chaos.private_disk import CannotMount, PrivateDisk, private_disk

_T = TypeVar("_T")

#: A new database has 40 MB, and its log 16 MB for each file.
_SMALL_DISK_BYTES = 128 * 1024 * 1024

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


def _entered(stack: ExitStack, server: AbstractContextManager[_T]) -> _T:
    """The server, started; where it is not installed the test is skipped, in CI it fails."""
    try:
        return stack.enter_context(server)
    except (FileNotFoundError, CannotMount) as error:
        if _IN_CI:
            raise
        pytest.skip(str(error))


@pytest.fixture
def redis_server() -> Iterator[Broker]:
    """A Redis of the test's own, on the loopback interface."""
    with ExitStack() as servers:
        yield _entered(servers, private_redis())


@pytest.fixture(scope="session")
def start_postgres() -> Iterator[Callable[[], PrivatePostgres]]:
    """Starts a server of the test's own, on the loopback interface; all end with the session."""
    with ExitStack() as servers:
        yield lambda: _entered(servers, private_postgres())


@pytest.fixture
def postgres_on_small_disk() -> Iterator[tuple[PrivateDisk, PrivatePostgres]]:
    """A server of the test's own, and the disk that has its data and nothing else."""
    with ExitStack() as stack:
        disk = _entered(stack, private_disk(_SMALL_DISK_BYTES))
        yield disk, _entered(stack, private_postgres(disk.folder))


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
