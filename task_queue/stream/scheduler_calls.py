"""The scheduler's hot calls as bytes, and the handlers that answer them.

A call is one msgpack blob each way. `SchedulerStream` makes the calls.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from task_queue.core.effects import Accepted, Grant, Refused
from task_queue.core.events import WorkerPulled
from task_queue.core.spec_runs import SpecRun, SpecRuns
from task_queue.scheduler_api import Ended, SchedulerApi
from task_queue.stream.stream_server import Handler

SUBMIT = 1
SUBMIT_AGAIN = 2  #: with the same specs as a call whose answer was lost
PULL = 3
WAIT_OVER = 4
END_OF = 5


class WaitOver(msgspec.Struct, array_like=True):
    """The arguments of `wait_over`."""

    task_ids: list[str]
    timeout_seconds: float


class EndOf(msgspec.Struct, array_like=True):
    """The arguments of `end_of`."""

    task_id: str
    timeout_seconds: float


encode = msgspec.msgpack.Encoder().encode
decode_submitted: Any = msgspec.msgpack.Decoder(Accepted | Refused).decode
decode_end: Any = msgspec.msgpack.Decoder(Ended | None).decode
decode_grant = msgspec.msgpack.Decoder(Grant).decode
decode_runs = msgspec.msgpack.Decoder(list[SpecRun]).decode
_decode_pull = msgspec.msgpack.Decoder(WorkerPulled).decode
_decode_wait = msgspec.msgpack.Decoder(WaitOver).decode
_decode_end_of = msgspec.msgpack.Decoder(EndOf).decode


def scheduler_handlers(scheduler: SchedulerApi) -> Mapping[int, Handler]:
    """What a StreamServer needs to serve `scheduler`."""

    async def submit(payload: memoryview) -> bytes:
        return encode(await scheduler.submit(SpecRuns(decode_runs(payload))))

    async def submit_again(payload: memoryview) -> bytes:
        return encode(await scheduler.submit(SpecRuns(decode_runs(payload)), repeated=True))

    async def pull(payload: memoryview) -> bytes:
        return encode(await scheduler.pull(_decode_pull(payload)))

    async def wait_over(payload: memoryview) -> bytes:
        wanted = _decode_wait(payload)
        await scheduler.wait_over(wanted.task_ids, wanted.timeout_seconds)
        return b""

    async def end_of(payload: memoryview) -> bytes:
        wanted = _decode_end_of(payload)
        return encode(await scheduler.end_of(wanted.task_id, wanted.timeout_seconds))

    return {
        SUBMIT: submit, SUBMIT_AGAIN: submit_again, PULL: pull, WAIT_OVER: wait_over,
        END_OF: end_of,
    }  # fmt: skip
