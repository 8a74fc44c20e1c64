"""The commands about single tasks: submit them, see where they are, and follow their endings."""

from typing import Any

import click
import msgspec

from task_queue.cli.seconds import Seconds
from task_queue.cli.session import Session, connected
from task_queue.cli.table import Narrow, cell
from task_queue.client.outcome import Outcome
from task_queue.tasks import SUBMIT_OPTIONS
from task_queue.wire import TaskView

#: A word that starts like this is meant as JSON, so it is not taken as text if it is broken.
_JSON_STARTS = ("{", "[", '"')
#: Words that other programs print for numbers, and that JSON does not have.
_NO_JSON_NUMBERS = ("NaN", "Infinity", "-Infinity")

#: A list of tasks has one line for each, whatever the terminal.
_NARROW_TASKS = Narrow(
    drop=("priority", "attempt", "queue", "submitted", "error"),
    shorten=("name", "error", "queue"),
)


@click.command()
@click.argument("name")
@click.argument("args", nargs=-1)
@click.option("--kwargs", "kwargs_json", metavar="JSON", help="Named arguments as a JSON object.")
@click.option("-k", "pairs", metavar="NAME=VALUE", multiple=True, help="One named argument.")
@click.option("--queue", help="The task's own queue unless given.")
@click.option("--priority", type=click.IntRange(0, 9), help="9 first.")
@click.option("--delay-seconds", type=Seconds(0), help="Start no sooner than this.")
@click.option("--run-at", metavar="TIME", help="RFC 3339, such as 2026-01-25T14:00:00Z.")
@click.option("--timeout-seconds", type=Seconds(0, min_open=True),
              help="How long one attempt may take.")  # fmt: skip
@click.option("--max-retries", type=click.IntRange(0), help="Further attempts after a failure.")
@click.option("--expires-at", metavar="TIME", help="Do not start after this; RFC 3339.")
@click.option("--idempotency-key", help="The same key again gives the same task.")
@click.option("--tag", "tags", multiple=True, help="May be given several times.")
@click.option("--wait", is_flag=True, help="Wait for the task and print its result.")
@connected
def submit(
    session: Session,
    name: str,
    args: tuple[str, ...],
    kwargs_json: str | None,
    pairs: tuple[str, ...],
    wait: bool,
    **options: Any,
) -> None:
    """Submit the task NAME with ARGS, and print its id.

    Each argument is JSON; a bare word that is not JSON is taken as a string, so

    \b
        task-queue submit image.thumb cat.png 128 -k format=png
        task-queue submit stats.mean '[1, 2, 3]'
        task-queue submit math.add -- -1 2

    submit "cat.png", 128 and format="png". Write '"128"' for the string 128. NaN, Infinity and
    numbers too large for a double, such as 1e999, are refused, because JSON does not have them;
    write '"NaN"' for the string NaN. Arguments that start with a minus go behind '--'.
    """
    named = _named_arguments(kwargs_json, pairs)
    given = {key: value for key, value in options.items() if value not in (None, ())}
    try:
        handle = session.client.submit(name, *map(parse_word, args), **named, **given)
    except ValueError as error:  # a time without a zone
        raise click.UsageError(str(error)) from error
    if not wait:
        session.say({"task_id": handle.task_id, "name": name}, handle.task_id)
        return
    click.echo(f"submitted {handle.task_id}", err=True)
    show_outcome(session, session.client.wait(handle.task_id))


@click.command()
@click.argument("task_id")
@click.option("--wait", "wait_seconds", type=Seconds(0), default=0.0, metavar="SECONDS",
              help="How long to wait for it.")  # fmt: skip
@connected
def result(session: Session, task_id: str, wait_seconds: float) -> None:
    """Print what a task returned, as JSON.

    Ends with 1 if the task did not succeed, or is not over in time.
    """
    show_outcome(session, session.client.wait(task_id, wait_seconds))


@click.command()
@click.argument("task_id")
@connected
def status(session: Session, task_id: str) -> None:
    """Show where a task is, and why."""
    _show_task(session, session.client.task(task_id))


@click.command()
@click.argument("task_id")
@connected
def cancel(session: Session, task_id: str) -> None:
    """Ask for a task to be stopped."""
    view = session.client.cancel(task_id)
    asked = "; its worker was asked to stop it" if view.status == "RUNNING" else ""
    session.say(view, f"{view.task_id} is {view.status}{asked}")


@click.command()
@click.argument("task_id")
@connected
def retry(session: Session, task_id: str) -> None:
    """Run a task again that is over without a result."""
    view = session.client.retry(task_id)
    session.say(view, f"{view.task_id} is {view.status}")


@click.command()
@click.argument("task_id")
@connected
def events(session: Session, task_id: str) -> None:
    """Show what happened to a task, in order."""
    rows = session.client.events(task_id)
    columns = ("at", "event", "attempt", "worker", "seconds", "message")
    cells = [(e.at, e.kind, e.attempt, e.worker_id, e.duration_seconds, e.message) for e in rows]
    session.table(rows, columns, cells)


@click.command()
@click.argument("task_id")
@connected
def logs(session: Session, task_id: str) -> None:
    """Show what a task printed, by attempt."""
    attempts = session.client.logs(task_id)

    def as_text() -> None:
        for log in attempts:
            if len(attempts) > 1:
                click.echo(f"--- attempt {log.attempt}")
            click.echo(log.text, nl=not log.text.endswith("\n"))

    session.show(attempts, as_text)


@click.command("list")
@click.option("--status", help="QUEUED, RUNNING, FAILED, ...")
@click.option("--queue")
@click.option("--name", help="Of the task's function.")
@click.option("--in-dlq/--not-in-dlq", default=None, help="Dead letters only, or none.")
@click.option("-q", "q", metavar="TEXT", help="Part of the id, name, a tag or the error.")
@click.option("--tag")
@click.option("--error", metavar="TEXT", help="Part of the error's type or message.")
@click.option("--worker", "worker_id", metavar="ID", help="That has or had it.")
@click.option("--from", "submitted_from", metavar="TIME", help="Submitted then or later; RFC 3339.")
@click.option("--to", "submitted_to", metavar="TIME", help="Submitted before; RFC 3339.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@connected
def list_tasks(session: Session, q: str | None, limit: int, **conditions: Any) -> None:
    """List tasks, the newest first. All conditions that are given must hold."""
    given = {name: value for name, value in conditions.items() if value is not None}
    simple = q is None and given.keys() <= {"status", "queue", "name", "in_dlq"}
    try:
        if simple:
            views = list(session.client.list_tasks(limit=limit, **given))
        else:
            views = list(session.client.search(q, limit=limit, **given))
    except ValueError as error:  # a time without a zone
        raise click.UsageError(str(error)) from error
    show_tasks(session, views)


@click.command()
@click.option("--last-event-id", metavar="CURSOR", help="Go on after this event.")
@connected
def tail(session: Session, last_event_id: str | None) -> None:
    """Print each task as it ends (COMPLETED, FAILED, CANCELLED, EXPIRED), until Ctrl-C."""
    try:
        for event in session.client.stream_events(last_event_id):
            line = f"{event.at}  {event.status:<9}  {event.task_id}  {event.queue}  {event.name}"
            session.say(event, line)
    except KeyboardInterrupt:
        return  # how it is meant to end


COMMANDS = (submit, status, result, cancel, retry, logs, events, list_tasks, tail)


def parse_word(text: str) -> Any:
    """JSON, or else the text itself.

    Raises:
        click.UsageError: it starts like JSON but is broken, or is a number that JSON does not have.
    """
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        # A ValidationError is about a number that is written as JSON says, but out of range.
        if text in _NO_JSON_NUMBERS or isinstance(error, msgspec.ValidationError):
            raise click.UsageError(
                f"'{text}' is a number that JSON does not have: send null, or for the string "
                f"write it in quotes inside the shell's quotes: '\"{text}\"'"
            ) from error
        if text.startswith(_JSON_STARTS):
            raise click.UsageError(
                f"'{text}' starts like JSON but is not ({error}); for a string, put it in quotes "
                "inside the shell's quotes"
            ) from error
        return text
    except UnicodeEncodeError:  # bytes that are no UTF-8; whoever encodes it says so
        return text
    except RecursionError:
        raise click.UsageError("an argument is nested too deeply: flatten it") from None


def show_outcome(session: Session, outcome: Outcome) -> None:
    """Print a result; with --json how the task ended. Raises if it did not succeed."""
    value = outcome.value() if outcome.status == "COMPLETED" else None
    if session.as_json:
        ended = {
            "task_id": outcome.task_id,
            "status": outcome.status,
            "result": value,
            "error": outcome.error,
        }
        click.echo(msgspec.json.encode(ended).decode())
    elif outcome.status == "COMPLETED":
        click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
    outcome.value()


def show_tasks(session: Session, views: list[TaskView]) -> None:
    """Print tasks, one a line."""
    columns = ("task", "status", "name", "queue", "priority", "attempt", "submitted", "error")
    rows = [
        (v.task_id, v.status, v.name, v.queue, v.priority, v.attempt, v.submitted_at, _error(v))
        for v in views
    ]
    session.table(views, columns, rows, _NARROW_TASKS)


def _show_task(session: Session, view: TaskView) -> None:
    def as_text() -> None:
        facts = [
            (name, getattr(view, name))
            for name in view.__struct_fields__
            if name not in ("error", "progress") and getattr(view, name) not in (None, [], False)
        ]
        if view.progress:
            facts.append(("progress", f"{view.progress.fraction:.0%} {view.progress.message}"))
        if view.error:
            facts.append(("error", _error(view)))
        width = max(len(name) for name, _ in facts)
        for name, value in facts:
            click.echo(f"{name:<{width}}  {cell(value)}")
        if view.error and view.error.traceback:
            click.echo(f"\n{view.error.traceback.rstrip()}")

    session.show(view, as_text)


def _error(view: TaskView) -> str | None:
    return f"{view.error.type}: {view.error.message}" if view.error else None


def _named_arguments(kwargs_json: str | None, pairs: tuple[str, ...]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    if kwargs_json is not None:
        try:
            named = msgspec.json.decode(kwargs_json, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
            raise click.UsageError(f"--kwargs is not a JSON object: {error}") from error
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not name or not equals:
            raise click.UsageError(f"-k '{pair}': write NAME=VALUE")
        if name in named:
            raise click.UsageError(f"the argument '{name}' is given twice")
        named[name] = parse_word(text)
    for name in named:
        if name in SUBMIT_OPTIONS:
            option = "--tag" if name == "tags" else "--" + name.replace("_", "-")
            raise click.UsageError(f"'{name}' is an option of submit: use {option}")
    return named
