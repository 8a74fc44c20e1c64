"""What every command shares: the options that say which queue, and one way to print.

Commands get a `Session`; they never build a client or write to stdout by another way.
"""

import functools
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click
import httpx
import msgspec
from msgspec import Struct

from task_queue.cli.table import Narrow, print_table
from task_queue.client.client import Client
from task_queue.clock import Clock


class ConnectionSettings(Struct, frozen=True):
    """Which queue, and how to print. Tests put one with a transport into the context's `obj`."""

    url: str | None = None
    api_key: str | None = None
    as_json: bool = False
    transport: httpx.BaseTransport | None = None
    clock: Clock | None = None
    sleep: Callable[[float], None] = time.sleep
    width: int | None = None  #: of the terminal in characters; None: as it is found

    def client(self) -> Client:
        """A client that does not try again: a person at a shell wants to be told at once."""
        return Client(
            self.url, self.api_key, retry_seconds=0.0, transport=self.transport,
            clock=self.clock, sleep=self.sleep,
        )  # fmt: skip


class Session:
    """A client and a way to print."""

    def __init__(self, client: Client, as_json: bool, width: int | None) -> None:
        self.client = client
        self.as_json = as_json
        self._width = width

    def show(self, value: Any, as_text: Callable[[], None]) -> None:
        """Print `value` as one line of JSON, or whatever `as_text` prints for a person."""
        if self.as_json:
            click.echo(msgspec.json.encode(value).decode())
        else:
            as_text()

    def say(self, value: Any, sentence: str) -> None:
        """Print `value` as one line of JSON, or a sentence for a person."""
        self.show(value, lambda: click.echo(sentence))

    def table(
        self,
        value: Any,
        columns: Sequence[str],
        rows: Iterable[Sequence[object]],
        narrow: Narrow | None = None,
    ) -> None:
        """Print `value` as one line of JSON, or rows under their columns as `print_table` does."""
        self.show(value, lambda: print_table(columns, rows, narrow, self._width))


def connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --url, --api-key and --json; what is given here wins over what stands further left."""

    @click.option("--url", metavar="URL", help="Where the queue is.")
    @click.option("--api-key", metavar="KEY", help="The key that lets you in.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON for other programs.")
    @click.pass_context
    @functools.wraps(command)
    def run(
        ctx: click.Context, /, *args: Any, url: str | None, api_key: str | None, as_json: bool,
        **kwargs: Any,
    ) -> Any:  # fmt: skip
        outer = ctx.obj if isinstance(ctx.obj, ConnectionSettings) else ConnectionSettings()
        ctx.obj = msgspec.structs.replace(
            outer,
            url=url or outer.url,
            api_key=api_key or outer.api_key,
            as_json=as_json or outer.as_json,
        )
        return ctx.invoke(command, *args, **kwargs)

    return run


def connected(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the connection options, and give the command a `Session` as its first argument."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        settings = click.get_current_context().obj
        with settings.client() as client:
            return command(Session(client, settings.as_json, settings.width), *args, **kwargs)

    return connection_options(run)
