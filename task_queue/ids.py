"""Task ids: UUIDv7, so that ids sort by time and new index entries land at the end of a B-tree.

Layout after RFC 9562, section 5.7: 48 bits of Unix milliseconds, version, 74 random bits.
"""

import os
import re
from itertools import repeat

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_CHANCE_BYTES = 10  #: what follows the time; version and variant take six bits of it
# As tables over all bytes: chance is asked once for many ids, and turned into them without a loop.
_WITH_VERSION = bytes(0x70 | byte & 0x0F for byte in range(256))
_WITH_VARIANT = bytes(0x80 | byte & 0x3F for byte in range(256))


def new_task_id(now: float) -> str:
    """A fresh id whose time part is `now` (seconds since the epoch)."""
    return new_task_ids(now, 1)[0]


def new_task_ids(now: float, count: int) -> list[str]:
    """`count` fresh ids whose time part is `now` (seconds since the epoch)."""
    time = f"{int(now * 1000) & 0xFFFF_FFFF_FFFF:012x}"
    chance = bytearray(os.urandom(_CHANCE_BYTES * count))
    versions, variants, rest = (
        chance[: 2 * count],
        chance[2 * count : 4 * count],
        chance[4 * count :],
    )
    versions[::2] = versions[::2].translate(_WITH_VERSION)
    variants[::2] = variants[::2].translate(_WITH_VARIANT)
    begins = repeat(f"{time[:8]}-{time[8:]}")
    groups = (versions.hex(" ", 2), variants.hex(" ", 2), rest.hex(" ", 6))
    return list(map("-".join, zip(begins, *map(str.split, groups), strict=False)))


def is_task_id(text: str) -> bool:
    """Whether `text` is written as a task id: lower-case UUIDv7."""
    return _UUID.fullmatch(text) is not None
