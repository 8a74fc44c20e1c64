"""The part of a line that is kept in the store alone, so that memory need not hold it."""

from msgspec import Struct


class PagedOut(Struct):
    """How much of one line is only in the store. All of it was accepted after what is in memory."""

    queue: str
    priority: int
    count: int  #: tasks
    first_seq: int  #: none of them was accepted before this one
    since: float  #: none of them was submitted earlier; seconds since the epoch
