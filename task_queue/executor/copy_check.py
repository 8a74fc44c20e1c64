"""Whether this process is a fork's copy of the one that a worker started.

C code forks without telling Python, so it has to be asked after every task. To ask the kernel for
the process number is a system call; to look at a page that the kernel empties in every copy (Linux
4.14 and later) is not. Where there are no such pages the number must do.
"""

import mmap
import os
from collections.abc import Callable

#: Of <linux/mman.h>; Python 3.11 has no name for it.
_MADV_WIPEONFORK = 18
_NO_ADVICE = 1_000
_MARK = 1


def copy_check() -> Callable[[], bool]:
    """A function that says whether the process that calls it is a copy of this one."""
    page = _page_that_no_copy_has()
    if page is not None:
        return lambda: page[0] != _MARK
    own = os.getpid()
    return lambda: os.getpid() != own


def _page_that_no_copy_has() -> mmap.mmap | None:
    page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    # Some emulators take any advice and follow none.
    if not _takes(page, _MADV_WIPEONFORK) or _takes(page, _NO_ADVICE):
        return None
    page[0] = _MARK
    return page


def _takes(page: mmap.mmap, advice: int) -> bool:
    try:
        page.madvise(advice)
    except OSError:  # another system, an old kernel, some sandboxes
        return False
    return True
