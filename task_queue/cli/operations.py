"""The commands about the queue itself: queues, workers, schedules, dead letters, health."""

from typing import Any

import click

from task_queue.cli.session import Session, connected, connection_options
from task_queue.cli.table import Narrow
from task_queue.cli.tasks import show_tasks
from task_queue.wire import CountAnswer, TaskFilter

_NARROW_QUEUES = Narrow(drop=("pools", "oldest wait s"), shorten=("pools",))
_NARROW_WORKERS = Narrow(
    drop=("host", "ended", "pool", "heartbeat", "failed"), shorten=("queues", "host", "pool")
)
_NARROW_SCHEDULES = Narrow(
    drop=("skips", "runs", "last", "queue"), shorten=("name", "when", "queue")
)


@click.group(invoke_without_command=True)
@connection_options
def queues() -> None:
    """List the queues, or pause, resume or purge one."""
    _list_unless_told(list_queues)


@queues.command("list")
@connected
def list_queues(session: Session) -> None:
    """List the queues with their depths."""
    views = session.client.queues()
    columns = ("queue", "paused", "queued", "delayed", "running", "oldest wait s", "pools")
    rows = [
        (v.queue, v.paused, v.queued, v.delayed, v.running, v.oldest_wait_seconds, v.pools)
        for v in views
    ]
    session.table(views, columns, rows, _NARROW_QUEUES)


@queues.command("pause")
@click.argument("name")
@connected
def pause_queue(session: Session, name: str) -> None:
    """Hand out no more tasks of a queue."""
    session.say(session.client.pause_queue(name), f"{name} is paused; it still accepts tasks")


@queues.command("resume")
@click.argument("name")
@connected
def resume_queue(session: Session, name: str) -> None:
    """Hand out tasks of a paused queue again."""
    session.say(session.client.resume_queue(name), f"{name} is active")


@queues.command("purge")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@connected
def purge_queue(session: Session, name: str, yes: bool) -> None:
    """Cancel every task of a queue that has not started."""
    if not yes:
        click.confirm(f"Cancel every waiting task of {name}?", abort=True, err=True)
    answer = session.client.purge_queue(name)
    session.say(answer, f"{answer.count:,} tasks were cancelled")


@click.group(invoke_without_command=True)
@connection_options
def workers() -> None:
    """List the workers, or pause, resume or drain one."""
    _list_unless_told(list_workers)


@workers.command("list")
@connected
def list_workers(session: Session) -> None:
    """List the workers with their load."""
    views = session.client.workers()
    columns = ("worker", "status", "pool", "queues", "load", "ended", "failed", "host", "heartbeat")
    rows = [
        (v.worker_id, v.status, v.pool, v.queues, f"{v.current_load}/{v.capacity}",
         v.tasks_ended, v.tasks_failed, f"{v.hostname}:{v.pid}", v.last_heartbeat_at)
        for v in views
    ]  # fmt: skip
    session.table(views, columns, rows, _NARROW_WORKERS)


@workers.command("pause")
@click.argument("worker_id", metavar="ID")
@connected
def pause_worker(session: Session, worker_id: str) -> None:
    """Give a worker nothing new; it ends what it holds."""
    state = session.client.pause_worker(worker_id)
    session.say(state, f"{worker_id} is {state.status}")


@workers.command("resume")
@click.argument("worker_id", metavar="ID")
@connected
def resume_worker(session: Session, worker_id: str) -> None:
    """Give a paused worker tasks again."""
    state = session.client.resume_worker(worker_id)
    session.say(state, f"{worker_id} is {state.status}")


@workers.command("drain")
@click.argument("worker_id", metavar="ID")
@connected
def drain_worker(session: Session, worker_id: str) -> None:
    """Let a worker end what it holds, and go."""
    state = session.client.drain_worker(worker_id)
    session.say(state, f"{worker_id} is {state.status}")


@click.command()
@connected
def schedules(session: Session) -> None:
    """List the schedules."""
    views = session.client.schedules()
    columns = ("schedule", "name", "queue", "when", "next", "last", "runs", "skips")
    rows = [
        (v.id, v.name, v.queue, f"{v.cron} {v.timezone}" if v.cron else f"{v.interval_seconds:g} s",
         v.next_run_at, v.last_run_at, v.runs, v.skips)
        for v in views
    ]  # fmt: skip
    session.table(views, columns, rows, _NARROW_SCHEDULES)


@click.command("task-types")
@connected
def task_types(session: Session) -> None:
    """List the tasks that workers know."""
    views = session.client.task_types()
    columns = ("signature", "queue", "priority", "retries", "executor", "pools", "what it does")
    rows = [
        (v.signature, v.queue, v.priority, v.max_retries, v.executor, v.pools, v.doc) for v in views
    ]
    session.table(views, columns, rows)


@click.group(invoke_without_command=True)
@connection_options
def dlq() -> None:
    """List the dead letters, or replay or purge some."""
    _list_unless_told(list_dead_letters)


def _filter_options(command: Any) -> Any:
    for option in (
        click.option("--queue"),
        click.option("--name", help="Of the task's function."),
        click.option("--error", metavar="TEXT", help="Part of the error's type or message."),
        click.option("--tag"),
        click.option("-q", "q", metavar="TEXT", help="Part of the id, name, a tag or the error."),
    ):
        command = option(command)
    return command


@dlq.command("list")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@_filter_options
@connected
def list_dead_letters(session: Session, limit: int, q: str | None, **conditions: Any) -> None:
    """List the dead letters, the newest first."""
    given = {name: value for name, value in conditions.items() if value is not None}
    show_tasks(session, list(session.client.search(q, limit=limit, in_dlq=True, **given)))


@dlq.command("replay")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1_000, show_default=True)
@click.option("--dry-run", is_flag=True, help="Only count them.")
@_filter_options
@connected
def replay(session: Session, limit: int, dry_run: bool, **conditions: Any) -> None:
    """Run dead letters again: all, or those for which all conditions hold."""
    answer = session.client.dlq_replay(TaskFilter(**conditions), limit=limit, dry_run=dry_run)
    verb = "would be" if dry_run else "were"
    session.say(answer, f"{answer.count:,} tasks {verb} queued again{_what_is_left(answer)}")


@dlq.command("purge")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_filter_options
@connected
def purge(session: Session, yes: bool, **conditions: Any) -> None:
    """Delete dead letters for good: all, or those for which all conditions hold."""
    if not yes:
        given = [f"{name}={value}" for name, value in conditions.items() if value is not None]
        which = f"the dead letters with {', '.join(given)}" if given else "all dead letters"
        click.confirm(f"Delete {which} for good?", abort=True, err=True)
    answer = session.client.dlq_purge(TaskFilter(**conditions))
    session.say(answer, f"{answer.count:,} tasks were deleted{_what_is_left(answer)}")


def _what_is_left(answer: CountAnswer) -> str:
    return f"; not all of them: {answer.incomplete}" if answer.incomplete else ""


@click.command()
@connected
def health(session: Session) -> None:
    """Show whether the queue and its parts are healthy; ends with 1 if not."""
    report = session.client.health()
    checks = report.get("checks", {})
    rows = [("queue", report["status"])] + [(k, v.get("status")) for k, v in checks.items()]
    session.table(report, ("part", "status"), rows)
    if report["status"] != "healthy":
        raise click.exceptions.Exit(1)


COMMANDS = (queues, workers, schedules, task_types, dlq, health)


def _list_unless_told(command: click.Command) -> None:
    """A group without a command lists."""
    ctx = click.get_current_context()
    if ctx.invoked_subcommand is None:
        ctx.invoke(command)
