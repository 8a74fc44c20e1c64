"""Rows under their columns, on a terminal of any width.

A row that is one line on a wide terminal stays one line on a narrow one: columns are left out or
cut, in an order that the caller gives, and what must be copied (ids) or compared (statuses) is
neither. Where stdout is a file or a pipe, nobody folds lines, so nothing is left out or cut.
"""

import math
import sys
from collections.abc import Iterable, Sequence

import click
from msgspec import Struct
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: Columns that are never folded or cut.
_WHOLE = ("task", "worker", "schedule", "status", "at")
_SHORTEST = 12  #: characters to which a column may be cut
_GAP = 3  #: characters between two columns, as rich draws them
_PIPE_WIDTH = 1_000


class Narrow(Struct, frozen=True):
    """How a table gets narrower, in this order."""

    drop: tuple[str, ...]  #: columns to leave out, the first one first
    shorten: tuple[str, ...]  #: columns to cut to no less than 12 characters


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    narrow: Narrow | None = None,
    width: int | None = None,
) -> None:
    """Rows under their columns; says so if there are none.

    Args:
        narrow: None folds long cells over several lines.
        width: of the terminal in characters; None: as it is found.
    """
    cells = [[cell(value) for value in row] for row in rows]
    if not cells:
        click.echo("none")
    elif narrow is None:
        _print_folded(columns, cells, width)
    else:
        _print_lines(columns, cells, narrow, width)


def _print_folded(columns: Sequence[str], cells: list[list[str]], width: int | None) -> None:
    table = _table()
    for column in columns:
        whole = column in _WHOLE
        table.add_column(column, no_wrap=whole, overflow="ignore" if whole else "fold")
    for row in cells:
        table.add_row(*map(Text, row))  # Text: "[x]" is no markup
    if width is None and not sys.stdout.isatty():
        width = _PIPE_WIDTH
    Console(file=sys.stdout, width=width).print(table)


def _print_lines(
    columns: Sequence[str], cells: list[list[str]], narrow: Narrow, width: int | None
) -> None:
    cells = [[" ".join(text.split()) for text in row] for row in cells]
    room = _room(width)
    widths = fitting(columns, cells, narrow, room)
    shown = list(widths)
    table = _table()
    for column, characters in widths.items():
        table.add_column(column, width=characters, no_wrap=True, overflow="ellipsis")
    for row in cells:
        by_column = dict(zip(columns, row, strict=True))
        table.add_row(*(Text(by_column[column]) for column in shown))
    needed = sum(widths.values()) + _GAP * len(widths)
    Console(file=sys.stdout, width=needed).print(table)
    missing = [
        column for i, column in enumerate(columns) if column not in widths and _any(cells, i)
    ]
    if missing:
        told = f"no room for {', '.join(missing)}: make the terminal wider, or use --json"
        click.echo(told, err=True)


def fitting(
    columns: Sequence[str], cells: list[list[str]], narrow: Narrow, room: float
) -> dict[str, int]:
    """The columns to show, in order, each with its width in characters.

    They need at most `room`, unless those that may be neither left out nor cut need more.
    """
    full = {
        column: max(cell_len(column), *(cell_len(row[i]) for row in cells))
        for i, column in enumerate(columns)
    }
    least = {
        column: min(full[column], max(_SHORTEST, cell_len(column)))
        if column in narrow.shorten
        else full[column]
        for column in columns
    }
    empty = [column for i, column in enumerate(columns) if not _any(cells, i)]
    for column in dict.fromkeys([*empty, *narrow.drop]):
        if _total(least) <= room:
            break
        del least[column]
    spare = max(0.0, room - _total(least))
    for column in narrow.shorten:
        if column in least:
            more = int(min(full[column] - least[column], spare))
            least[column] += more
            spare -= more
    return least


def cell(value: object) -> str:
    """A value in a table: nothing for None, and floats short."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)


def _room(width: int | None) -> float:
    if width is not None:
        return width
    return Console(file=sys.stdout).width if sys.stdout.isatty() else math.inf


def _total(widths: dict[str, int]) -> int:
    return sum(widths.values()) + _GAP * (len(widths) - 1)


def _any(cells: list[list[str]], i: int) -> bool:
    return any(row[i] for row in cells)
