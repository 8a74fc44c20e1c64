"""Looks which machines of the cluster are about to go, and has their workers end in time.

A machine is about to go when Ray drains it: somebody ran `ray drain-node`, the autoscaler takes it
away, or the process that started Ray there got a SIGTERM, as it does when a pod is deleted or a
machine shuts down. Ray starts nothing there any more, but tells no actor: one has to ask.
"""

import asyncio
import math
from typing import Protocol

from monitoring.logs import get_logger
from task_queue.clock import Clock

_LOOK_SECONDS = 1.0


class Nodes(Protocol):
    """Who knows the machines; `cluster.ray_nodes.RayNodes` does."""

    async def draining(self) -> dict[str, float]:
        """Ids of machines, and when each goes, in seconds since the epoch; inf: no time is set."""

    async def taken_away(self, node_id: str) -> bool:
        """Whether it is gone because somebody wanted so, not because it failed."""


class NodeLeaver(Protocol):
    """Who ends the workers of a machine; `cluster.supervisor.Supervisor` does."""

    def leave_node(self, node_id: str, gone_at: float) -> None: ...


class NodeWatch:
    """Tells a NodeLeaver of the machines that drain, again and again while they do."""

    def __init__(self, nodes: Nodes, leaver: NodeLeaver, clock: Clock) -> None:
        self._nodes = nodes
        self._leaver = leaver
        self._clock = clock
        self._blind = False
        self._log = get_logger("supervisor")

    async def run_for_ever(self) -> None:
        """Look once a second."""
        while True:
            try:
                await self.run_once()
                self._blind = False
            except Exception as error:  # noqa: BLE001  whatever it was, the next look may go well
                if not self._blind:
                    self._log.warning("draining_nodes_unknown", reason=repr(error))
                self._blind = True
            await asyncio.sleep(_LOOK_SECONDS)

    async def run_once(self) -> None:
        """One look."""
        for node_id, goes_at in (await self._nodes.draining()).items():
            remaining = goes_at - self._clock.now() if goes_at < math.inf else math.inf
            self._leaver.leave_node(node_id, self._clock.monotonic() + remaining)
