"""A copy that C code forked off knows that it is one, with and without the kernel's help."""

import ctypes
import os

import pytest

from task_queue.executor import copy_check as module
from task_queue.executor.copy_check import copy_check

_NO_SUCH_ADVICE = -1


@pytest.mark.parametrize("advice", [module._MADV_WIPEONFORK, _NO_SUCH_ADVICE])
def test_only_the_copy_is_a_copy(monkeypatch: pytest.MonkeyPatch, advice: int) -> None:
    monkeypatch.setattr(module, "_MADV_WIPEONFORK", advice)
    is_copy = copy_check()

    pid = ctypes.PyDLL(None).fork()  # as C code does it: Python's own fork hooks do not run
    if pid == 0:
        os._exit(0 if is_copy() else 1)
    _, status = os.waitpid(pid, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert not is_copy()


def test_a_page_says_it_where_there_are_such_pages() -> None:
    if os.uname().sysname != "Linux":
        pytest.skip("MADV_WIPEONFORK is Linux's")
    assert module._page_that_no_copy_has() is not None
