"""Task ids: UUIDv7, so that ids sort by time and new index entries land at the end of a B-tree.

Layout after RFC 9562, section 5.7: 48 bits of Unix milliseconds, version, 74 random bits.
"""

import os
import re

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def new_task_id(now: float) -> str:
    """A fresh id whose time part is `now` (seconds since the epoch)."""
    noise = int.from_bytes(os.urandom(10))
    value = (int(now * 1000) & 0xFFFF_FFFF_FFFF) << 80
    value |= 0x7 << 76 | (noise >> 68 & 0xFFF) << 64
    value |= 0b10 << 62 | (noise & 0x3FFF_FFFF_FFFF_FFFF)
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def is_task_id(text: str) -> bool:
    """Whether `text` is written as a task id: lower-case UUIDv7."""
    return _UUID.fullmatch(text) is not None
