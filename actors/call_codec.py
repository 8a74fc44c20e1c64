"""Calls to the scheduler actor as bytes: one msgpack blob each way.

A blob costs Ray one memory copy. Pickling a list of a thousand structs would cost each of them a
walk through Python, on both sides. The calls that are many do not go this way: they are in
`task_queue.stream.scheduler_calls`.
"""

from typing import Any

import msgspec

from task_queue.core.effects import Answer
from task_queue.core.events import Event
from task_queue.replica_book import ReplicaReport
from task_queue.scheduler_api import DeadLetter, SchedulerReading, WorkerTold
from task_queue.store.query import Pool
from task_queue.tasks import TaskType


class Catalogue(msgspec.Struct):
    """The arguments of `declare`."""

    pools: list[Pool]
    task_types: list[TaskType]


encode = msgspec.msgpack.Encoder().encode
decode_event: Any = msgspec.msgpack.Decoder(Event).decode
decode_answer: Any = msgspec.msgpack.Decoder(Answer).decode
decode_letters = msgspec.msgpack.Decoder(list[DeadLetter]).decode
decode_catalogue = msgspec.msgpack.Decoder(Catalogue).decode
decode_told = msgspec.msgpack.Decoder(ReplicaReport | None).decode
decode_worker_told = msgspec.msgpack.Decoder(WorkerTold).decode
decode_reading = msgspec.msgpack.Decoder(SchedulerReading).decode
