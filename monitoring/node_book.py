"""The machines of the cluster: what each told last, as long as it is heard of."""

from task_queue.scheduler_api import NodeReading

#: Two tellings may be missed.
TELL_SECONDS = 10.0
_GONE_SECONDS = 3 * TELL_SECONDS


class NodeBook:
    """By host name; several workers of one machine tell the same."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[float, NodeReading]] = {}

    def take(self, node: NodeReading, now: float) -> None:
        """Note what a machine told at `now`, in seconds."""
        self._told[node.node] = (now, node)

    def nodes(self, now: float) -> list[NodeReading]:
        """Those that were heard of lately; the others are forgotten."""
        self._told = {k: v for k, v in self._told.items() if now - v[0] <= _GONE_SECONDS}
        return [node for _, (_, node) in sorted(self._told.items())]
