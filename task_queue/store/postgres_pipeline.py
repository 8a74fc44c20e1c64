"""Statements of one transaction, sent together: one round trip, and nobody need wait for it.

psycopg has pipelines too, but its end is a call that blocks, or a coroutine on a connection on
which every other call is one as well. This is libpq's own pipeline mode, as psycopg.pq gives it.
"""

import asyncio
import select
from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus

from task_queue.store.postgres_column import Column
from task_queue.store.postgres_connection import errors
from task_queue.store.protocol import StoreError

#: With "%s" for each value; a value is a Column, a text, a number, bytes or None.
Statement = tuple[str, tuple[Any, ...]]
#: The same with types, formats and bytes of the values.
Encoded = tuple[str, list[int], list[int], list[bytes | None]]

_BYTEA_OID = 17


class PostgresPipeline:
    """One connection's transactions, one after the other."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._libpq = connection.pgconn
        self._names: dict[str, bytes] = {}  #: of the statements that the server has prepared
        self._prepared = 0
        self._fresh: list[str] = []  #: prepared in the transaction that is under way
        self._error: psycopg.Error | None = None
        self._done: asyncio.Future[None] | None = None  #: of what is under way
        self._next: list[tuple[list[Encoded], asyncio.Future[None]]] = []
        self._unsent = False
        self._watched = -1  #: the socket

    def run(self, statements: Iterable[Statement]) -> None:
        """Carry them out, all or nothing, and wait for it.

        Raises:
            StoreError, StaleEpoch: nothing was saved, or it is not known whether it was.
        """
        if self._done is not None:
            raise StoreError("a commit is under way: nothing can be saved beside it")
        with errors("save"):
            self._send(_all_encoded(statements))
            ready = select.poll()
            over = False
            while not over:
                events = select.POLLIN | (select.POLLOUT if self._unsent else 0)
                ready.register(self._libpq.socket, events)
                ready.poll()
                over = self._go_on()

    def begin(self, statements: Iterable[Statement]) -> "asyncio.Future[None]":
        """Carry them out while the event loop goes on, after what is under way, and only if that
        is carried out. Their values may change afterwards. The future has what `run` raises.

        Raises:
            StoreError: they could not be sent.
        """
        encoded = _all_encoded(statements)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._done is None:
            self._begin(encoded, done)
        else:
            self._next.append((encoded, done))
        return done

    def close(self) -> None:
        """Wait no longer for what is under way. To be called before the connection is closed."""
        if self._done is not None:
            self._unwatch(self._done.get_loop())
            self._end(StoreError("the store was closed"))

    # ---- sending ---------------------------------------------------------------------------

    def _begin(self, statements: list[Encoded], done: "asyncio.Future[None]") -> None:
        with errors("save"):
            self._send(statements)
            self._watch(done.get_loop())
        self._done = done

    def _send(self, statements: list[Encoded]) -> None:
        libpq = self._libpq
        self._error, self._fresh = None, []
        libpq.enter_pipeline_mode()
        for sql, types, formats, encoded in statements:
            name = self._names.get(sql)
            if name is None:
                name = self._prepare(sql, types)
            libpq.send_query_prepared(name, encoded, formats)
        libpq.pipeline_sync()
        self._unsent = bool(libpq.flush())

    def _prepare(self, sql: str, types: list[int]) -> bytes:
        self._prepared += 1
        name = self._names[sql] = b"task_queue_%d" % self._prepared
        self._fresh.append(sql)
        first, *rest = sql.split("%s")
        numbered = first + "".join(f"${n}{part}" for n, part in enumerate(rest, 1))
        self._libpq.send_prepare(name, numbered.encode(), types)
        return name

    # ---- what comes back -------------------------------------------------------------------

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        self._watched = self._libpq.socket
        loop.add_reader(self._watched, self._on_ready, loop)
        if self._unsent:
            loop.add_writer(self._watched, self._on_ready, loop)

    def _unwatch(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.remove_reader(self._watched)
        loop.remove_writer(self._watched)

    def _on_ready(self, loop: asyncio.AbstractEventLoop) -> None:
        self._unwatch(loop)  # before libpq, which closes the socket of a connection that is lost
        try:
            with errors("save"):
                over = self._go_on()
            if not over:
                self._watch(loop)
        except Exception as error:  # noqa: BLE001  whatever it was, somebody waits for the outcome
            self._end(self._given_up(error))
            return
        if over:
            self._end(None)

    def _end(self, error: StoreError | None) -> None:
        """What was under way is over: on with the next one, or with none of them."""
        done, self._done = self._done, None
        _settle(done, error)
        if error is None and self._next:
            encoded, following = self._next.pop(0)
            try:
                self._begin(encoded, following)
            except Exception as failure:  # noqa: BLE001  as above
                error = self._given_up(failure)
                _settle(following, error)
        if error is not None:
            waiting, self._next = self._next, []
            for _, following in waiting:
                _settle(following, error)

    def _given_up(self, error: Exception) -> StoreError:
        """What to tell. After what nobody foresaw the connection goes: nobody knows which of its
        results belong to what, and an old one must never be taken for that of a later commit."""
        if isinstance(error, StoreError):
            return error
        self._libpq.finish()
        given_up = StoreError(f"the commit was given up, it may have been carried out: {error!r}")
        given_up.__cause__ = error
        return given_up

    def _go_on(self) -> bool:
        """Take what has arrived. Whether that was all.

        Raises:
            psycopg.Error: the transaction failed, or the connection was lost.
        """
        libpq = self._libpq
        if self._unsent:
            self._unsent = bool(libpq.flush())
        libpq.consume_input()
        while not libpq.is_busy():
            result = libpq.get_result()
            if result is None:  # the end of one statement's results
                if libpq.status == ConnStatus.BAD:
                    raise self._error or psycopg.OperationalError(libpq.get_error_message())
                continue
            if result.status == ExecStatus.PIPELINE_SYNC:
                libpq.exit_pipeline_mode()
                self._raise_error()
                return True
            if result.status == ExecStatus.FATAL_ERROR and self._error is None:
                self._error = error_from_result(result)
        return False

    def _raise_error(self) -> None:
        if self._error is not None:
            for sql in self._fresh:  # nobody knows how far the server came
                del self._names[sql]
            raise self._error


def _settle(done: "asyncio.Future[None] | None", error: StoreError | None) -> None:
    if done is None or done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


def _all_encoded(statements: Iterable[Statement]) -> list[Encoded]:
    return [(sql, *_encoded(values)) for sql, values in statements]


def _encoded(values: tuple[Any, ...]) -> tuple[list[int], list[int], list[bytes | None]]:
    """Types, formats and bytes as libpq takes them; type 0: as the server infers it."""
    types: list[int] = []
    formats: list[int] = []
    encoded: list[bytes | None] = []
    for value in values:
        if isinstance(value, Column):
            types.append(value.array_oid)
            formats.append(1)
            encoded.append(value.encoded())
        elif isinstance(value, bytes):
            types.append(_BYTEA_OID)
            formats.append(1)
            encoded.append(value)
        elif value is None:
            types.append(0)
            formats.append(0)
            encoded.append(None)
        else:
            types.append(0)
            formats.append(0)
            encoded.append(str(value).encode())
    return types, formats, encoded
