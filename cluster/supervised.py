"""A worker as its supervisor keeps it in mind, and what Ray is to do for it."""

import asyncio
from typing import Protocol

from msgspec import Struct

from actors.worker_actor import WorkerOrder


class WorkerProcess(Protocol):
    """One worker; `actors.handles.WorkerHandle` is one."""

    async def run(self) -> str: ...  # a worker that was just made
    async def watch(self) -> str: ...
    def kill(self) -> None: ...


class WorkerMaker(Protocol):
    """Starts and finds workers."""

    def create(self, order: WorkerOrder) -> WorkerProcess: ...

    async def find(self, worker_id: str) -> WorkerProcess | None: ...


class Supervised(Struct):
    """A worker that was started, or found, here."""

    worker_id: str
    incarnation: str
    pool: str
    handle: WorkerProcess
    started_at: float  #: monotonic
    registered: bool = False
    node_id: str = ""  #: of its machine, in Ray's words; "" until it is known
    node_goes: bool = False  #: its machine is taken away
    ends_by: float | None = None  #: monotonic; what runs then is interrupted. None: it stays
    idle_since: float | None = None
    watch: asyncio.Task[None] | None = None
