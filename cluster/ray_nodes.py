"""Ray's machines: which of them drain, and why one is gone."""

import asyncio
import math
from typing import Any

import ray
from ray._private import worker as ray_worker
from ray.core.generated import common_pb2

_ANSWER_SECONDS = 2.0
_PROTOBUF: Any = common_pb2  # makes its names when it is imported
_DEATHS = _PROTOBUF.NodeDeathInfo
_ON_PURPOSE = {
    _DEATHS.EXPECTED_TERMINATION,  # its raylet got a SIGTERM, as from `ray stop`
    _DEATHS.AUTOSCALER_DRAIN_PREEMPTED,
    _DEATHS.AUTOSCALER_DRAIN_IDLE,
}


class RayNodes:
    """The Nodes of the GCS."""

    async def draining(self) -> dict[str, float]:
        """See Nodes. Ray has no public call for it; its own Serve and Train use this one.

        Raises:
            ray.exceptions.RpcError: the GCS does not answer.
        """
        worker: Any = ray_worker.global_worker
        told = await asyncio.to_thread(
            worker.gcs_client.get_draining_nodes, timeout=_ANSWER_SECONDS
        )
        return {node_id: _seconds(milliseconds) for node_id, milliseconds in told.items()}

    async def taken_away(self, node_id: str) -> bool:
        """See Nodes.

        Raises:
            TimeoutError: the GCS does not answer.
        """
        async with asyncio.timeout(_ANSWER_SECONDS):
            nodes = await asyncio.to_thread(ray.nodes)
        return any(
            node["NodeID"] == node_id and not node["Alive"] and node["DeathReason"] in _ON_PURPOSE
            for node in nodes
        )


def _seconds(milliseconds: int) -> float:
    return milliseconds / 1000.0 if milliseconds else math.inf
