"""Ray's machines: which of them drain."""

import asyncio
import math
from typing import Any

from ray._private import worker as ray_worker

_ANSWER_SECONDS = 2.0


class RayNodes:
    """A DrainingNodes over the GCS.

    Ray has no public call for this; its own Serve and Train ask the same one.
    """

    async def draining(self) -> dict[str, float]:
        """See DrainingNodes.

        Raises:
            ray.exceptions.RpcError: the GCS does not answer.
        """
        worker: Any = ray_worker.global_worker
        told = await asyncio.to_thread(
            worker.gcs_client.get_draining_nodes, timeout=_ANSWER_SECONDS
        )
        return {node_id: _seconds(milliseconds) for node_id, milliseconds in told.items()}


def _seconds(milliseconds: int) -> float:
    return milliseconds / 1000.0 if milliseconds else math.inf
