"""The right to start a task that was already sent to a child, and how to take it back.

Leases are sent in chunks so that a child never waits for the next one. But the first of a chunk may
run for an hour, and then the others must not sit behind it, and a drain or a cancel must be able
to say with certainty which of them have not started. Asking the child does not work: it is busy.
So there is one byte in a pipe for every lease sent, and a child takes one byte before it starts
one lease. Both sides hold the reading end, and the kernel gives a byte to one of them only:

    parent                              token pipe        child
      | sends leases a b c, generation 7    7 7 7           |
      |                                     7 7             | takes one, starts a
      | takes back what is there            -               |
      |   2 bytes: b and c did not start                    | a ends; b: no token, dropped
      | sends c, generation 8               8               | c of 7: token 8 is not its, dropped
      |                                     -               | c of 8: its token, starts c

The generation grows with every taking back, so a token never starts a lease from before it. It
wraps at 256, which is safe: a parent that took back sends nothing until the running task ended.
"""

import os

#: Each generation as it stands in the pipe.
_BYTES = [bytes((generation,)) for generation in range(256)]


class StartTokens:
    """The child's side."""

    def __init__(self, read_fd: int) -> None:
        self._read_fd = read_fd
        #: Read, but of a later generation than the leases now passing by.
        self._in_hand: bytes | None = None

    def take(self, generation: int) -> bool:
        """Whether a lease of `generation` may start. At most one start for each token."""
        if self._in_hand is None:
            try:
                self._in_hand = os.read(self._read_fd, 1)
            except BlockingIOError:
                return False
        if self._in_hand != _BYTES[generation]:  # nothing at all if the parent closed its end
            return False
        self._in_hand = None
        return True


class StartTokenSource:
    """The parent's side: owns both ends of the pipe."""

    def __init__(self) -> None:
        self.read_fd, self._write_fd = os.pipe()
        os.set_blocking(self.read_fd, False)  # for the child's end too: it is the same one
        self.generation = 0

    def give(self, count: int) -> None:
        """Allow `count` more starts. To be called before the leases are sent."""
        os.write(self._write_fd, bytes((self.generation,)) * count)

    def take_back(self) -> int:
        """Forbid all starts that have not happened yet, and say how many those are."""
        taken = 0
        while True:
            try:
                taken += len(os.read(self.read_fd, 4096))
            except BlockingIOError:
                break
        if taken:
            self.generation = (self.generation + 1) % 256
        return taken

    def close(self) -> None:
        os.close(self.read_fd)
        os.close(self._write_fd)
