"""What became of spans, for /metrics."""

from msgspec import Struct


class SpanCounts(Struct):
    """Spans of one process since it began, or of several together."""

    exported: int = 0  #: the receiver took them
    failed: int = 0  #: the receiver was away or refused them; they are lost
    dropped: int = 0  #: the queue to the receiver was full; they are lost
    thinned: int = 0  #: tasks without spans of their own, beyond tasks_per_second

    def add(self, other: "SpanCounts") -> None:
        """Count what another process counted as well."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def since(self, before: "SpanCounts") -> "SpanCounts":
        """What came after `before`, which was counted by the same process."""
        return SpanCounts(
            *(getattr(self, name) - getattr(before, name) for name in self.__struct_fields__)
        )
