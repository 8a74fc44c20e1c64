"""The rules of the queue as one pure machine: no clock, no randomness, no I/O."""
