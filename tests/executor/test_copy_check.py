"""A copy that C code forked off knows that it is one, with and without the kernel's help."""

import ctypes
import mmap
import os

import pytest

from task_queue.executor import copy_check as module
from task_queue.executor.copy_check import copy_check


@pytest.mark.parametrize(
    "told",
    [{}, {"_MADV_WIPEONFORK": module._NO_ADVICE}, {"_NO_ADVICE": mmap.MADV_NORMAL}],
    ids=["as it is", "no such pages", "any advice is taken"],
)
def test_only_the_copy_is_a_copy(monkeypatch: pytest.MonkeyPatch, told: dict[str, int]) -> None:
    for name, advice in told.items():
        monkeypatch.setattr(module, name, advice)
    assert (module._page_that_no_copy_has() is None) == bool(told)
    is_copy = copy_check()

    pid = ctypes.PyDLL(None).fork()  # as C code does it: Python's own fork hooks do not run
    if pid == 0:
        os._exit(0 if is_copy() else 1)
    _, status = os.waitpid(pid, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert not is_copy()
