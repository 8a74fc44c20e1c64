"""The scheduler actor: `task_queue.scheduler.Scheduler` behind bytes, and its pruner.

The constructor only keeps what it is given, because an exception in an actor's constructor ends the
actor for good. Everything that can fail happens in `Scheduler`, which waits for its store.
"""

import asyncio
import gc
import random
import socket
from collections.abc import Callable
from functools import partial

from ray.util import get_node_ip_address

from actors.call_codec import (
    decode_catalogue,
    decode_event,
    decode_letters,
    decode_told,
    decode_worker_told,
    encode,
)
from monitoring.attempt_spans import AttemptSpans
from monitoring.chores import Chores
from monitoring.firing_spans import FiringSpans
from monitoring.logs import configure_logs, get_logger
from monitoring.node_book import NodeBook
from monitoring.node_figures import read_node
from monitoring.spans import Spans
from monitoring.task_lines import TaskLines
from task_queue.clock import Clock, SystemClock
from task_queue.core.effects import Effects
from task_queue.core.invariants import check_invariants
from task_queue.core.machine import QueueMachine
from task_queue.errors import TaskQueueError
from task_queue.ids import new_task_id
from task_queue.next_firing import next_firing
from task_queue.pruner import Pruner
from task_queue.replica_book import ReplicaReport
from task_queue.scheduler import Scheduler
from task_queue.scheduler_api import (
    NodeReading,
    SchedulerReading,
    SchedulerUnavailable,
    WorkerTold,
)
from task_queue.scheduler_parts import SchedulerParts
from task_queue.settings import Settings, settings_from_json
from task_queue.store import open_store
from task_queue.stream.endpoint import Endpoint
from task_queue.stream.scheduler_listener import SchedulerListener
from task_queue.tracing.span_book import SpanBook
from task_queue.trend_roller import TrendRoller

_NODE_SECONDS = 1.0  #: that figures of this machine are good for
_START_SECONDS = 1.0  #: that a caller's question where to connect may wait for the store
_ROLL_SECONDS, _ROLL_AGAIN_SECONDS = 5.0, 60.0  #: between two; after one that failed
OnTurn = Callable[[Effects, float], None]
_ALL_ADDRESSES = ("0.0.0.0", "::")


class SchedulerActor:
    """What `ray.remote` wraps. One async actor, one event loop, no concurrency groups."""

    def __init__(self, settings_json: bytes) -> None:
        self._settings_json = settings_json
        self._life: SchedulerLife | None = None

    async def ready(self) -> None:
        """Returns when the store is loaded."""
        await self._begun().scheduler.started()

    async def endpoint(self) -> bytes:
        """Where the calls that are many are served: submit, pull, wait_over and end_of."""
        return encode(await self._begun().endpoint())

    async def request(self, event: bytes) -> bytes:
        return encode(await self._begun().scheduler.request(decode_event(event)))

    async def retry(self, task_id: str, request_id: str) -> bytes:
        return encode(await self._begun().scheduler.retry(task_id, request_id))

    async def replay(self, letters: bytes, request_id: str) -> bytes:
        scheduler = self._begun().scheduler
        return encode(await scheduler.replay(decode_letters(letters), request_id))

    async def purge_dlq(self, letters: bytes) -> int:
        return await self._begun().scheduler.purge_dlq(decode_letters(letters))

    async def purge_queue(self, queue: str) -> int:
        return await self._begun().scheduler.purge_queue(queue)

    async def declare(self, catalogue: bytes) -> None:
        said = decode_catalogue(catalogue)
        await self._begun().scheduler.declare(said.pools, said.task_types)

    async def read(self, told: bytes) -> bytes:
        return encode(await self._begun().read(decode_told(told)))

    async def tell(self, told: bytes) -> None:
        """Take the figures of a worker and its machine."""
        self._begun().take(decode_worker_told(told))

    async def stop(self) -> None:
        """Let the store go; the process may be ended after that."""
        await self._begun().stop()

    def _begun(self) -> "SchedulerLife":
        """Starts at the first call: only then does the event loop of the actor run."""
        if self._life is None:
            self._life = SchedulerLife(settings_from_json(self._settings_json))
            self._life.start()
        return self._life


class SchedulerLife:
    """The scheduler with all it needs, from its settings."""

    def __init__(self, settings: Settings) -> None:
        configure_logs(settings.logging.level, settings.logging.format)
        self._log = get_logger("scheduler")
        self._clock: Clock = SystemClock()
        self._retention = settings.retention
        self._chores = Chores("scheduler")
        self._nodes = NodeBook()
        self._own_node_at = -_NODE_SECONDS
        self._span_book = SpanBook(self._clock.now())
        self._spans = Spans(settings.tracing, "scheduler") if settings.tracing.enabled else None
        parts = SchedulerParts(
            lambda: open_store(settings.store.url),
            settings.rules(),
            self._clock,
            new_task_id,
            random.Random().random,
            next_firing,
            on_turn=self._guarded("lines", TaskLines(settings.logging.task_lines_per_second).take),
            on_trouble=self._on_trouble,
            on_dethroned=self._on_dethroned,
        )
        if self._spans is not None:
            firings = FiringSpans(self._spans, settings.tracing.tasks_per_second, self._clock)
            parts.trace_firing = firings.begin
            spans = [AttemptSpans(self._spans).take, firings.take]
            parts.on_turn = _each(parts.on_turn, *(self._guarded("spans", tell) for tell in spans))
        if settings.limits.check_invariants:
            parts.check = self._check
        self.scheduler = Scheduler(parts)
        self._listener = SchedulerListener(
            self.scheduler, *_stream_hosts(settings),
            on_listening=self._on_listening, on_cut=self._on_cut, on_trouble=self._on_trouble,
        )  # fmt: skip
        self._closing: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.scheduler.start()
        self._listener.start()
        kept = self._retention
        pruner = Pruner(self.scheduler, self._clock, kept.finished_seconds, kept.max_finished_tasks)
        roller = TrendRoller(self.scheduler, self._clock)
        self._chores.start("freeze", self._freeze)
        self._chores.start("prune", partial(self._prune, pruner), kept.prune_interval_seconds)
        self._chores.start("trends", partial(self._roll, roller), _ROLL_SECONDS)

    async def stop(self) -> None:
        self._chores.stop()
        self.scheduler.stop()
        self._close_streams()
        if self._closing is not None:
            await self._closing
        if self._spans is not None:
            await asyncio.to_thread(self._spans.close)

    async def read(self, told: ReplicaReport | None) -> SchedulerReading:
        """The scheduler now; the machines too if a replica asks, because only it shows them."""
        reading = await self.scheduler.read(told)
        if told is not None:
            reading.nodes = self._read_nodes(self._clock.monotonic())
        reading.spans.add(self._span_book.sums)
        if self._spans is not None:
            reading.spans.add(self._spans.counts)
        reading.chore_failures = dict(self._chores.failures)
        return reading

    def _read_nodes(self, now: float) -> list[NodeReading]:
        if now - self._own_node_at >= _NODE_SECONDS:
            self._own_node_at = now
            self._nodes.take(read_node(), now)
        return self._nodes.nodes(now)

    def take(self, told: WorkerTold) -> None:
        """Note how a worker and its machine do; this machine is read here."""
        self._span_book.take(told.spans)
        if told.node.node != socket.gethostname():
            self._nodes.take(told.node, self._clock.monotonic())

    async def endpoint(self) -> Endpoint:
        """Where the streams are served.

        Raises:
            SchedulerUnavailable: nowhere, now.
        """
        if self._closing is None:
            # Calls before the store is loaded would be refused: better that they wait a moment.
            started = asyncio.ensure_future(self.scheduler.started())
            await asyncio.wait({started}, timeout=_START_SECONDS)
        return await self._listener.endpoint(_START_SECONDS)

    def _close_streams(self) -> None:
        if self._closing is None:
            self._closing = self._listener.close()

    async def _freeze(self) -> None:
        """What was loaded lives long: full collections need not look at it again and again."""
        await self.scheduler.started()
        gc.freeze()

    async def _prune(self, pruner: Pruner) -> float:
        try:
            pruned = await pruner.prune()
        except SchedulerUnavailable as error:
            self._log.warning("prune_postponed", reason=str(error))
        else:
            if any(pruned):
                self._log.info("pruned", tasks=pruned.tasks, results=pruned.results)
        return self._retention.prune_interval_seconds

    async def _roll(self, roller: TrendRoller) -> float:
        try:
            await roller.roll()
        except SchedulerUnavailable as error:
            self._log.warning("trends_postponed", reason=str(error))
            return _ROLL_AGAIN_SECONDS
        return _ROLL_SECONDS

    def _guarded(self, name: str, tell: OnTurn) -> OnTurn:
        """A fault in what tells of turns is no reason to hold up tasks."""
        failures, log = self._chores.failures, self._log
        failures[name] = 0

        def told(fx: Effects, now: float) -> None:
            try:
                tell(fx, now)
            except Exception:
                failures[name] += 1
                if _is_round(failures[name]):
                    log.exception("turn_not_told", chore=name, times=failures[name])

        return told

    def _on_trouble(self, what: str, error: BaseException) -> None:
        # Of what the world did the text says all; of a fault of ours one must know where.
        ours = None if isinstance(error, TaskQueueError | OSError) else error
        self._log.error("scheduler_trouble", what=what, error=repr(error), exc_info=ours)

    def _on_listening(self, endpoint: Endpoint, tls: bool) -> None:
        event_loop = type(asyncio.get_running_loop()).__module__
        host, port = endpoint.host, endpoint.port
        self._log.info("stream_listens", host=host, port=port, tls=tls, event_loop=event_loop)

    def _on_cut(self, peer: str, reason: str) -> None:
        self._log.warning("stream_cut", peer=peer, reason=reason)

    def _on_dethroned(self) -> None:
        """Callers must look for the other one."""
        self._close_streams()

    def _check(self, machine: QueueMachine) -> None:
        check_invariants(machine)


def _is_round(times: int) -> bool:
    """1, 2, 4, 8 and so on: whatever fails in every turn must not fill the log."""
    return times & (times - 1) == 0


def _each(*tellers: OnTurn) -> OnTurn:
    """All that looks at committed turns."""

    def watch(fx: Effects, now: float) -> None:
        for tell in tellers:
            tell(fx, now)

    return watch


def _stream_hosts(settings: Settings) -> tuple[str, str]:
    """The address to listen at, and the one to tell callers on other machines."""
    host = settings.ray.stream_host
    if host is None:
        # A head that is started here has its workers here.
        host = "127.0.0.1" if settings.ray.address is None else _node_address()
    return host, _node_address() if host in _ALL_ADDRESSES else host


def _node_address() -> str:
    """The address that Ray has for this machine."""
    address: str = get_node_ip_address()  # type: ignore[no-untyped-call]
    return address
