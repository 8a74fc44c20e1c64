"""Typed handles: the only place that writes `.remote(`.

Nobody else sees an ObjectRef or one of Ray's exceptions. A call to the scheduler that fails because
its process died is repeated, with the same ids, until the restarted one answers or the patience of
the handle is over; every scheduler call is safe to repeat. Against a scheduler
that is frozen short calls end at that time too, and long ones when it has shown no sign of life for
half a minute.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError

from actors.call_codec import (
    Catalogue,
    decode_answer,
    decode_reading,
    encode,
)
from actors.options import SCHEDULER_NAME
from task_queue.core.effects import Accepted, Answer, Counted, Grant, Moved, Refused
from task_queue.core.events import Event, WorkerPulled
from task_queue.core.task import TaskSpec
from task_queue.replica_book import ReplicaReport
from task_queue.scheduler_api import (
    DeadLetter,
    Ended,
    SchedulerReading,
    SchedulerSilent,
    SchedulerUnavailable,
    WorkerTold,
)
from task_queue.store.query import Pool
from task_queue.stream.endpoint import Endpoint, decode_endpoint
from task_queue.stream.outcome import StreamLost
from task_queue.stream.scheduler_stream import SchedulerStream
from task_queue.tasks import TaskType

T = TypeVar("T")

_RETRY_SECONDS = 0.1
#: While a long call is open. One turn of the scheduler, in which it answers nobody, may take long
#: too.
_SILENT_SECONDS = 30.0
#: The actor is dead, is being started again, or (ValueError) not there yet.
_GONE = (RayActorError, ValueError)


class SchedulerHandle:
    """A SchedulerApi over the scheduler actor, from any process of the cluster.

    The calls that are many go over a stream, for which the actor is only asked where it is; all
    others are actor calls.
    """

    def __init__(
        self, namespace: str, patience_seconds: float = 5.0, silent_seconds: float = _SILENT_SECONDS
    ) -> None:
        self._namespace = namespace
        self._patience_seconds = patience_seconds
        self._silent_seconds = silent_seconds
        self._actor: Any = None
        self._stream = SchedulerStream(self._find_stream, patience_seconds)

    async def submit(self, specs: Sequence[TaskSpec], repeated: bool = False) -> Accepted | Refused:
        return await self._stream.submit(specs, repeated)

    async def pull(self, event: WorkerPulled) -> Grant:
        return await self._stream.pull(event)

    async def wait_over(self, task_ids: Sequence[str], timeout_seconds: float) -> None:
        await self._stream.wait_over(task_ids, timeout_seconds)

    async def end_of(self, task_id: str, timeout_seconds: float) -> Ended | None:
        return await self._stream.end_of(task_id, timeout_seconds)

    async def request(self, event: Event) -> Answer:
        blob = encode(event)
        answer: Answer = decode_answer(
            await self._call_promptly(lambda actor: actor.request.remote(blob))
        )
        return answer

    async def retry(self, task_id: str, request_id: str) -> Moved | Refused:
        answer: Moved | Refused = decode_answer(
            await self._call_promptly(lambda actor: actor.retry.remote(task_id, request_id))
        )
        return answer

    async def replay(self, letters: Sequence[DeadLetter], request_id: str) -> Counted | Refused:
        blob = encode(letters)
        answer: Counted | Refused = decode_answer(
            await self._call_patiently(lambda actor: actor.replay.remote(blob, request_id))
        )
        return answer

    async def purge_dlq(self, letters: Sequence[DeadLetter]) -> int:
        blob = encode(letters)
        return int(await self._call_patiently(lambda actor: actor.purge_dlq.remote(blob)))

    async def purge_queue(self, queue: str) -> int:
        return int(await self._call_patiently(lambda actor: actor.purge_queue.remote(queue)))

    async def declare(self, pools: Sequence[Pool], task_types: Sequence[TaskType]) -> None:
        blob = encode(Catalogue(list(pools), list(task_types)))
        await self._call_patiently(lambda actor: actor.declare.remote(blob))

    async def read(self, told: ReplicaReport | None = None) -> SchedulerReading:
        blob = encode(told)
        return decode_reading(await self._call_promptly(lambda actor: actor.read.remote(blob)))

    async def tell(self, told: WorkerTold) -> None:
        """Say how a worker and its machine do."""
        blob = encode(told)
        await self._call_promptly(lambda actor: actor.tell.remote(blob))

    async def ready(self) -> None:
        """Returns when the scheduler has loaded its store."""
        await self._call_patiently(lambda actor: actor.ready.remote())

    async def stop(self) -> None:
        """Ask the scheduler to let its store go."""
        await self._call_patiently(lambda actor: actor.stop.remote())

    async def _call_promptly(self, ask: Callable[[Any], Awaitable[T]]) -> T:
        """A call that is short, so that no answer within the patience means a frozen scheduler.

        Ray itself notices a stopped process only much later.
        """
        try:
            async with asyncio.timeout(self._patience_seconds) as limit:
                return await self._call(ask)
        except TimeoutError as error:
            if not limit.expired():  # the scheduler's own
                raise
            raise SchedulerUnavailable(
                f"the scheduler did not answer within {self._patience_seconds:g} s; try again"
            ) from error

    async def _call_patiently(self, ask: Callable[[Any], Awaitable[T]]) -> T:
        """A call that takes as long as it takes, while the scheduler shows that it is there.

        It is asked for something small all the while.
        """
        call = asyncio.ensure_future(self._call(ask))
        watch = asyncio.ensure_future(self._until_silent())
        try:
            await asyncio.wait({call, watch}, return_when=asyncio.FIRST_COMPLETED)
            if call.done():
                return call.result()
            await watch
            raise SchedulerSilent(
                f"the scheduler has shown no sign of life for {self._silent_seconds:g} s"
            )
        finally:
            call.cancel()
            watch.cancel()

    async def _until_silent(self) -> None:
        """Returns when the scheduler has not answered for too long."""
        while True:
            try:
                async with asyncio.timeout(self._silent_seconds):
                    await (await self._scheduler()).endpoint.remote()
            except TimeoutError:
                return
            except (RayError, ValueError):
                self._actor = None  # if it died, the call itself says so
            await asyncio.sleep(self._patience_seconds)

    async def _call(self, ask: Callable[[Any], Awaitable[T]]) -> T:
        deadline = asyncio.get_running_loop().time() + self._patience_seconds
        while True:
            try:
                return await ask(await self._scheduler())
            except RayTaskError as error:
                raise _ours(error) from error
            except _GONE as error:
                self._actor = None
                if asyncio.get_running_loop().time() > deadline:
                    raise SchedulerUnavailable(f"the scheduler does not answer: {error}") from error
                await asyncio.sleep(_RETRY_SECONDS)

    async def _find_stream(self) -> Endpoint:
        """Asked for each connection; the stream tries again by itself."""
        try:
            actor = await self._scheduler()
            return decode_endpoint(await actor.endpoint.remote())
        except RayTaskError as error:
            raise _ours(error) from error
        except _GONE as error:
            self._actor = None
            raise StreamLost(str(error), sent=False) from error

    async def _scheduler(self) -> Any:
        if self._actor is None:
            self._actor = await asyncio.to_thread(ray.get_actor, SCHEDULER_NAME, self._namespace)
        return self._actor


class WorkerHandle:
    """One worker actor, for whoever starts, watches and ends it."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    @classmethod
    def create(cls, made: Any, *args: Any) -> "WorkerHandle":
        """Start an actor; `made` comes from `actors.options`."""
        return cls(made.remote(*args))

    @classmethod
    async def find(cls, name: str, namespace: str) -> "WorkerHandle | None":
        """The living actor of that name, if there is one."""
        try:
            return cls(await asyncio.to_thread(ray.get_actor, name, namespace))
        except ValueError:
            return None

    @classmethod
    async def find_all(cls, prefix: str, namespace: str) -> dict[str, "WorkerHandle"]:
        """The actors whose names begin so, by the rest of the name."""
        listed = await asyncio.to_thread(ray.util.list_named_actors, all_namespaces=True)
        names = [named["name"] for named in listed if named["namespace"] == namespace]
        found = {}
        for name in names:
            if name.startswith(prefix) and (worker := await cls.find(name, namespace)) is not None:
                found[name.removeprefix(prefix)] = worker
        return found

    async def run(self) -> str:
        """Waits until Ray has placed the worker, has it work, and returns when it ended, and why.

        Raises:
            WorkerEnded: it died or could not import its modules.
        """
        try:
            return str(await self._actor.run.remote())
        except RayError as error:
            raise WorkerEnded(_cause(error)) from error

    async def watch(self) -> str:
        """Of one that runs already: returns when it ended, and why.

        Raises:
            WorkerEnded: it died.
        """
        try:
            return str(await self._actor.watch.remote())
        except RayError as error:
            raise WorkerEnded(_cause(error)) from error

    def kill(self) -> None:
        """End its process now."""
        ray.kill(self._actor, no_restart=True)


class WorkerEnded(Exception):
    """A worker actor is gone; the message says why."""


def create_actor(made: Any, *args: Any) -> Any:
    """Start, or find, the actor that `actors.options` describes."""
    return made.remote(*args)


async def end_actor(name: str, namespace: str) -> bool:
    """End a named actor for good. Returns whether there was one."""
    try:
        actor = await asyncio.to_thread(ray.get_actor, name, namespace)
    except ValueError:
        return False
    ray.kill(actor, no_restart=True)
    return True


def call_own_start() -> None:
    """Called in an actor's constructor: have its `start` called once that is done.

    A second call waits for the first. An actor that Ray has made anew may first be told the address
    of its dead predecessor, and its call goes there. Nobody else would call again, so Ray has to.
    """
    actor = ray.get_runtime_context().current_actor
    actor.start.options(max_task_retries=-1).remote()


def _ours(error: RayTaskError) -> Exception:
    """The error that the scheduler raised, as itself."""
    cause = error.cause
    if isinstance(cause, SchedulerUnavailable):
        return SchedulerUnavailable(str(cause))
    return error


def _cause(error: RayError) -> str:
    cause = getattr(error, "cause", None) or error
    text = str(cause).strip().splitlines() or ["no detail"]
    # Ray ends with why; but after what was killed for want of memory comes advice.
    why = text[0] if isinstance(cause, OutOfMemoryError) else text[-1]
    return f"{type(cause).__name__}: {why.strip()}"
