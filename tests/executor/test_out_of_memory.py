"""A process that the kernel kills for want of memory is told from one that somebody killed."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors import oom_kills
from actors.oom_kills import OomKills
from tests.executor.conftest import SAMPLES

_ROOT = Path(__file__).resolve().parents[2]
_LIMIT_BYTES = 200_000_000


def test_each_kill_of_the_kernel_can_be_claimed_once(tmp_path: Path) -> None:
    file = tmp_path / "memory.events"
    file.write_text("low 0\noom 3\noom_kill 2\noom_group_kill 0\n")
    kills = OomKills(file)
    assert kills.claim() is False  # those were before
    file.write_text("low 0\noom 4\noom_kill 4\noom_group_kill 0\n")
    assert [kills.claim() for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("text", [None, "low 0\n", ""])
def test_where_nothing_is_counted_nothing_is_claimed(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "memory.events"
    if text is not None:
        file.write_text(text)
    assert OomKills(file).claim() is None
    assert OomKills(None).claim() is None


@pytest.mark.parametrize(
    ("groups", "files"),
    [
        ("0::/pod/one\n", ["cg/pod/one/memory.events", "vmstat"]),
        ("0::/\n", ["cg/memory.events", "vmstat"]),
        (
            "5:devices:/\n4:cpu,memory:/pod\n0::/\n",
            ["cg/memory/pod/memory.oom_control", "cg/memory/memory.oom_control",
             "cg/memory.events", "vmstat"],
        ),
        (None, []),
    ],
)  # fmt: skip
def test_the_count_is_looked_for_in_the_process_s_own_group_first(
    tmp_path: Path, groups: str | None, files: list[str]
) -> None:
    said = tmp_path / "cgroup"
    if groups is not None:
        said.write_text(groups)
    found = oom_kills._candidates(said, tmp_path / "cg", tmp_path / "vmstat")
    assert [str(file.relative_to(tmp_path)) for file in found] == files


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A memory group with a limit, and no process in it yet."""
    own = oom_kills.own_oom_kills()._file
    assert own is not None
    group = own.parent / f"tq-test-{os.getpid()}"
    limit = "memory.max" if own.name == "memory.events" else "memory.limit_in_bytes"
    try:
        group.mkdir()
        (group / limit).write_text(str(_LIMIT_BYTES))
    except OSError as error:
        pytest.skip(f"no memory group can be made here: {error}")
    yield group
    group.rmdir()


def test_a_task_that_runs_out_of_memory_is_told_so(small_group: Path) -> None:
    script = textwrap.dedent(
        f"""
        import asyncio, os
        from pathlib import Path

        Path({str(small_group)!r}, "cgroup.procs").write_text(str(os.getpid()))

        from actors.executor_pool import ExecutorConfig, ExecutorPool
        from task_queue.clock import SystemClock
        from task_queue.core.task import Lease

        async def main():
            config = ExecutorConfig(
                slots=1, python_path=[{str(SAMPLES)!r}], task_modules=["sample_tasks"],
            )
            changed = asyncio.Event()
            pool = ExecutorPool(config, SystemClock(), changed.set)
            await pool.start()
            arguments = b'{{"args": [{4 * _LIMIT_BYTES}], "kwargs": {{}}}}'
            name = "eats_memory"
            pool.run([Lease("t", 1, 1, name, "q", 5, arguments, None, 0, 0, 0.0, None, None)])
            while not (reports := pool.take_reports()):
                changed.clear()
                await changed.wait()
            print(reports[0].outcome.value, reports[0].error)
            await pool.stop(0.0)

        asyncio.run(main())
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=_ROOT, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("died ")
    assert "killed by signal 9 (SIGKILL): out of memory, by the count of the kernel" in done.stdout
