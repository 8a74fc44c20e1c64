"""What both runners write for people: CSV files, self-contained web pages, and failures explained.

Everything here turns given results into text; nothing asks a queue. A page has its style and its
pictures inside, so it can be mailed as one file, and follows the reader's light or dark setting.
"""

import csv
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from finished_task import FinishedTask
from rich.console import Console
from rich.table import Table
from rich.text import Text

_STYLE = """
:root { color-scheme: light dark; --page: #fff; --text: #1d2126; --quiet: #5b6470;
        --line: #d9dee4; --card: #f6f7f9; --good: #2f7d4f; --bad: #b3372f; }
@media (prefers-color-scheme: dark) {
  :root { --page: #15181c; --text: #e6e9ed; --quiet: #9aa4b0;
          --line: #343a42; --card: #1e2329; --good: #5fbf88; --bad: #ef8078; } }
body { margin: 2rem auto; max-width: 70rem; padding: 0 1rem; background: var(--page);
       color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p.summary, small { color: var(--quiet); }
code { font: .9em ui-monospace, monospace; }
pre { background: var(--card); padding: .6rem .8rem; border-radius: 6px; overflow-x: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line);
         vertical-align: top; }
th { color: var(--quiet); font-weight: 600; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.error { color: var(--bad); overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: 1rem; }
.card { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
        overflow: hidden; }
.card img { display: block; width: 100%; height: 9rem; object-fit: contain; }
.card figcaption { padding: .5rem .7rem .6rem; overflow-wrap: anywhere; }
.card small { display: block; }
.swatches { display: flex; height: .9rem; }
.bar { background: var(--card); border-radius: 3px; min-width: 10rem; }
.bar div { background: var(--good); border-radius: 3px; height: 1.1rem; margin: .2rem 0; }
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
<p class="summary">{summary}</p>
{body}
</body>
</html>
"""


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write `rows`, which all have the same keys, under a header line.

    Raises:
        ValueError: there are no rows, or one has other keys than the first.
    """
    if not rows:
        raise ValueError(f"no rows to write to {path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        for row in rows:
            if row.keys() != rows[0].keys():
                raise ValueError(f"a row has the columns {list(row)}, not {list(rows[0])}")
            writer.writerow(row)


def write_page(path: Path, title: str, summary: str, sections: Sequence[str]) -> None:
    """Write a page of HTML sections; `title` and `summary` are plain text."""
    page = _PAGE.format(
        title=escape(title), summary=escape(summary), style=_STYLE, body="\n".join(sections)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def html_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as HTML. Headings are plain text; cells are whole `<td>` elements, see `cell`."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>\n{body}\n</table></div>'


def cell(text: str, kind: str = "") -> str:
    """A table cell of plain text; `kind`: "number" or "error"."""
    attribute = f' class="{kind}"' if kind else ""
    return f"<td{attribute}>{escape(text)}</td>"


def failure_section(failures: Sequence[tuple[str, FinishedTask]], replay_command: str) -> str:
    """Tasks that failed, each with what it was about, and how to run them again; as HTML."""
    if not failures:
        return "<h2>Failures</h2><p>None.</p>"
    rows = [
        [
            cell(subject),
            cell(task.error or task.status, "error"),
            cell(str(task.attempts), "number"),
            cell("yes" if task.in_dlq else "no"),
            cell(task.worker_id or ""),
            f"<td><code>{escape(task.task_id)}</code></td>",
        ]
        for subject, task in failures
    ]
    headings = ("Task", "Error", "Attempts", "Dead letter", "Worker", "Id")
    return (
        f"<h2>Failures</h2>\n{html_table(headings, rows)}\n"
        "<p>A dead letter is kept until it is replayed or purged. Once its cause is mended:</p>\n"
        f"<pre>{escape(replay_command)}</pre>"
    )


def print_failures(
    console: Console, failures: Sequence[tuple[str, FinishedTask]], replay_command: str
) -> None:
    """Tasks that failed, each with what it was about, and how to run them again; for a terminal."""
    if not failures:
        return
    table = Table(
        "task", "attempts", "dead letter", "error", title="Failures", title_justify="left"
    )
    for subject, task in failures:
        # Text, because rich would read [...] in a plain string as markup.
        error = Text(task.error or task.status, style="red")
        table.add_row(Text(subject), str(task.attempts), "yes" if task.in_dlq else "no", error)
    console.print(table)
    dead = sum(task.in_dlq for _, task in failures)
    console.print(f"In the dead-letter queue: {dead}. Once the cause is mended, run them again:")
    console.print(Text(f"  {replay_command}"), soft_wrap=True)


def task_queue_command(*words: str) -> str:
    """A `task-queue` command as it can be typed here, whether or not its folder is on the path."""
    here = Path(sys.executable).with_name("task-queue")
    known = shutil.which("task-queue") is not None or not here.exists()
    return shlex.join(["task-queue" if known else os.path.relpath(here), *words])


def print_places(console: Console, paths: Sequence[Path], client_url: str) -> None:
    """Where to look now: files as URLs that most terminals can open, and the web console."""
    for path in paths:
        console.print(Text(path.resolve().as_uri()), soft_wrap=True)
    console.print(Text(f"{client_url}/ui"), soft_wrap=True)
