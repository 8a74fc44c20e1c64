"""What a call to an actor costs: Ray's own call, grpc.aio, and the project's stream.

    python -m benchmarks.bench_transport [--short]

One async actor serves all three on one event loop (uvloop, as Ray has it); this process calls it.
The handler does the same for each: it gives bytes back. gRPC has generic handlers, so that no
protobuf is made or parsed. There is no TLS; Ray has its token, the stream its handshake, gRPC
nothing. Rounds of the three alternate, and the figures are medians over the rounds.

CPU is that of both processes together, with all their threads, but not that of Ray's daemons. A
batch is what 1,000 tasks of 200 bytes take on their way in, with 1,000 ids coming back.
"""

import asyncio
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc  # type: ignore[import-untyped]
import ray
import uvloop
from grpc import aio

from benchmarks.flags import flags
from benchmarks.report import report
from task_queue.stream.endpoint import Endpoint
from task_queue.stream.handshake import stream_key
from task_queue.stream.stream_client import StreamClient
from task_queue.stream.stream_server import StreamServer

_ROUNDS, _SHORT_ROUNDS = 5, 1
_IDLE_CALLS = 300
_PAUSE_SECONDS = 0.002
_CALLS = 5_000
_IN_FLIGHT = 64
_BATCHES = 200
_BATCHES_IN_FLIGHT = 4
_TASKS_IN_BATCH = 1_000
_SMALL = bytes(200)
_BATCH = bytes(200 * _TASKS_IN_BATCH)
_IDS_BYTES = 40 * _TASKS_IN_BATCH
_MESSAGE_BYTES = 64 * 1024 * 1024
_NONCE = b"benchmark"
_METHOD = "/benchmark/call"

Call = Callable[[bytes], Awaitable[Any]]


def answer_to(payload: bytes) -> bytes:
    """What every server does."""
    return payload if len(payload) <= _IDS_BYTES else payload[:_IDS_BYTES]


class Server:
    """One actor, three ways to call it."""

    def __init__(self) -> None:
        self._served: list[object] = []

    async def call(self, payload: bytes) -> bytes:
        return answer_to(payload)

    async def serve_grpc(self) -> int:
        """The port at which gRPC is served."""

        async def handle(payload: bytes, _context: Any) -> bytes:
            return answer_to(payload)

        handler = grpc.unary_unary_rpc_method_handler(handle)
        server = aio.server(options=_grpc_options())
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("benchmark", {"call": handler}),)
        )
        port: int = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        self._served.append(server)
        return port

    async def serve_stream(self) -> int:
        """The port at which the stream is served."""

        async def handle(payload: memoryview) -> bytes:
            return answer_to(bytes(payload))

        server = StreamServer({1: handle}, stream_key(b"", _NONCE))
        self._served.append(server)
        return await server.listen("127.0.0.1")

    async def cpu_seconds(self) -> float:
        return time.process_time()


# ---- what is measured --------------------------------------------------------------------------


async def idle_seconds(call: Call) -> list[float]:
    """Round trips of small calls, one at a time."""
    seconds = []
    for _ in range(_IDLE_CALLS):
        await asyncio.sleep(_PAUSE_SECONDS)
        began = time.perf_counter()
        await call(_SMALL)
        seconds.append(time.perf_counter() - began)
    return seconds


async def per_second(call: Call, payload: bytes, count: int, in_flight: int) -> float:
    """Calls per second with so many under way at any time."""
    left = count

    async def go_on() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await call(payload)

    began = time.perf_counter()
    await asyncio.gather(*(go_on() for _ in range(in_flight)))
    return count / (time.perf_counter() - began)


async def one_round(call: Call, cpu: Callable[[], Awaitable[float]]) -> dict[str, float]:
    """All figures of one transport."""
    idle = await idle_seconds(call)
    before = await cpu()
    small = await per_second(call, _SMALL, _CALLS, _IN_FLIGHT)
    between = await cpu()
    batches = await per_second(call, _BATCH, _BATCHES, _BATCHES_IN_FLIGHT)
    after = await cpu()
    return {
        "at idle, round trip p50 us": statistics.median(idle) * 1e6,
        "at idle, round trip p99 us": statistics.quantiles(idle, n=100)[98] * 1e6,
        f"{_IN_FLIGHT} in flight, calls per second": small,
        f"{_IN_FLIGHT} in flight, CPU us per call": (between - before) / _CALLS * 1e6,
        "batches of 1,000, tasks per second": batches * _TASKS_IN_BATCH,
        "batches of 1,000, MB per second": batches * len(_BATCH) / 1e6,
        "batches of 1,000, CPU us per batch": (after - between) / _BATCHES * 1e6,
    }


async def measure(actor: Any, count: int) -> dict[str, Any]:
    grpc_port, stream_port = await actor.serve_grpc.remote(), await actor.serve_stream.remote()
    channel = aio.insecure_channel(f"127.0.0.1:{grpc_port}", options=_grpc_options())
    grpc_call = channel.unary_unary(_METHOD)

    async def find() -> Endpoint:
        return Endpoint("127.0.0.1", stream_port, _NONCE)

    client = StreamClient(find, b"")

    async def cpu() -> float:
        return time.process_time() + float(await actor.cpu_seconds.remote())

    calls: dict[str, Call] = {
        "Ray actor call": actor.call.remote,
        "grpc.aio": grpc_call,
        "stream": lambda payload: client.call(1, payload),
    }
    for call in calls.values():  # warm
        await per_second(call, _SMALL, 1_000, _IN_FLIGHT)
        await per_second(call, _BATCH, 10, 1)
    rounds = [
        {name: await one_round(call, cpu) for name, call in calls.items()} for _ in range(count)
    ]
    await client.close()
    await channel.close()
    return {
        f"{name}, {figure}": statistics.median(one[name][figure] for one in rounds)
        for name in calls
        for figure in rounds[0][name]
    }


def _grpc_options() -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", _MESSAGE_BYTES),
        ("grpc.max_send_message_length", _MESSAGE_BYTES),
    ]


def main() -> None:
    short = flags(__doc__).short
    # As in a cluster of `python -m cluster up`: processes as nice as their callers, and a token.
    os.environ |= {"RAY_worker_niceness": "0", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    with tempfile.TemporaryDirectory(prefix="tq-", ignore_cleanup_errors=True) as folder:
        ray.init(
            num_cpus=1, include_dashboard=False, log_to_driver=False, _temp_dir=folder,
            object_store_memory=100_000_000, _node_ip_address="127.0.0.1",
        )  # fmt: skip
        try:
            made: Any = ray.remote(Server)
            actor = made.options(
                num_cpus=0, max_concurrency=1_000, enable_task_events=False
            ).remote()
            figures = uvloop.run(measure(actor, _SHORT_ROUNDS if short else _ROUNDS))
        finally:
            ray.shutdown()
    report("bench_transport", figures)


if __name__ == "__main__":
    main()
