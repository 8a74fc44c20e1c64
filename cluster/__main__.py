"""`python -m cluster COMMAND CONFIG`: the operator's command line; --help lists the commands."""

import asyncio
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import click
import msgspec

from cluster.api_url import api_url
from cluster.backup import backup_store
from cluster.docker_commands import docker_commands
from cluster.health import NoHealth, read_health
from cluster.local_ray import ON_LOOPBACK, auth_environment
from cluster.migrate import migrate_store
from cluster.monitoring_files import missing_secrets
from cluster.monitoring_servers import (
    SHIPPED_FILES,
    monitoring_folder,
    start_monitoring,
    stop_monitoring,
)
from cluster.record import state_folder
from task_queue.errors import TaskQueueError
from task_queue.settings import Settings, load_settings

_CONFIG = click.argument("config", type=click.Path(path_type=Path))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Start, end and look at a task queue cluster."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")


@main.command()
@_CONFIG
def up(config: Path) -> None:
    """Start what CONFIG describes and wait until it is healthy.

    If it runs already, what is missing is started, and what runs with other settings is replaced.
    """
    settings = _load(config)
    running = _bootstrap(settings).up(settings, _say)
    click.echo(f"\nThe task queue is up ({running.seconds:.1f} s), {running.workers} worker(s).")
    click.echo(f"  HTTP API       {running.api_url}/docs")
    click.echo(f"  web console    {running.api_url}/ui")
    click.echo(f"  health         {running.api_url}/health")
    if running.dashboard_url:
        click.echo(f"  Ray dashboard  {running.dashboard_url}")
    click.echo(f"End it with: python -m cluster down {config}")


@main.command()
@_CONFIG
def down(config: Path) -> None:
    """Drain the workers, then end what `up` started. Tasks that wait are kept."""
    settings = _load(config)
    if _bootstrap(settings).down(settings, _say):
        click.echo("The task queue is down. Its tasks are kept; 'up' goes on with them.")
    else:
        click.echo("Nothing to end: no cluster was started with this config from this folder.")


@main.command()
@_CONFIG
def status(config: Path) -> None:
    """Ask the cluster of CONFIG how it is. Exit code 1 if it is not healthy."""
    settings = _load(config)
    try:
        lines, healthy = read_health(settings, str(config))
    except NoHealth as error:
        raise click.ClickException(str(error)) from None
    click.echo("\n".join(lines))
    sys.exit(0 if healthy else 1)


@main.command()
@_CONFIG
def url(config: Path) -> None:
    """Print where the HTTP API of CONFIG is, for TASK_QUEUE_URL."""
    click.echo(api_url(_load(config)))


@main.command()
@_CONFIG
@click.option(
    "--files",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=SHIPPED_FILES,
    help="Folder with prometheus/ and alertmanager/, if not the shipped one.",
)
def monitoring(config: Path, files: Path) -> None:
    """Start Prometheus and Alertmanager for the queue of CONFIG, which must be up.

    If they run already, they read their files again.
    """
    settings = _load(config)
    for server in start_monitoring(settings, files):
        click.echo(f"  {server.name:<14} {server.url}  (pid {server.pid})")
    folder = monitoring_folder(settings)
    click.echo(f"Their data and logs are in {folder}")
    for path in missing_secrets(folder):
        click.echo(f"No alert reaches its receiver before you write {path}")
    if shutil.which("docker"):
        click.echo(docker_commands(settings, files))
    click.echo(f"End them with: python -m cluster monitoring-stop {config}")


@main.command()
@_CONFIG
def monitoring_stop(config: Path) -> None:
    """End the Prometheus and the Alertmanager that `monitoring` started; their data is kept."""
    ended = stop_monitoring(_load(config))
    click.echo(f"Ended {', '.join(ended)}." if ended else "Nothing to end: neither runs.")


@main.command()
@_CONFIG
def migrate(config: Path) -> None:
    """Bring the PostgreSQL database of CONFIG to this version's schema, ahead of `up`."""
    applied = migrate_store(_load(config))
    click.echo("\n".join(f"applied {name}" for name in applied) or "nothing to do")


@main.command()
@_CONFIG
@click.argument("file", type=click.Path(path_type=Path))
def backup(config: Path, file: Path) -> None:
    """Copy the SQLite store of CONFIG to FILE, which must be new, while the queue runs."""
    backup_store(_load(config), file)
    click.echo(f"written to {file}")


@main.command()
@_CONFIG
@click.option("--kill", required=True, help="What may be hit, as in worker,scheduler,streams.")
@click.option("--seed", default=0, help="Of the first schedule; the next one has the next.")
@click.option("--schedules", default=10, type=click.IntRange(min=1))
@click.option("--seconds", default=6.0, type=click.FloatRange(min=1.0), help="Load per schedule.")
@click.option("--queue", default="default", help="To which the load is submitted.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write the report here too.")
def chaos(
    config: Path, kill: str, seed: int, schedules: int, seconds: float, queue: str,
    file: Path | None,
) -> None:  # fmt: skip
    """Break a STAGING queue of CONFIG on purpose, and check that it keeps its promises.

    Only processes that `up` has started here are hit, and only the kinds that --kill names. What
    runs on the queue besides is hit with it. Exit code 1 if a promise was broken.
    """
    from cluster.chaos.campaign import Campaign  # noqa: PLC0415  no other command needs it
    from cluster.chaos.own_target import kinds_of, own_target  # noqa: PLC0415

    kinds = kinds_of(kill)
    campaign = Campaign(own_target(_load(config), config, kinds, queue), seconds, click.echo)
    report = asyncio.run(campaign.run(range(seed, seed + schedules)))
    click.echo(report.summary())
    if file is not None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    sys.exit(1 if report.broken else 0)


def _load(config: Path) -> Settings:
    return load_settings(config, os.environ)


def _bootstrap(settings: Settings) -> ModuleType:
    """Import Ray only now: that takes seconds, a bad config should take none, and Ray reads where
    it is and how to prove who we are when it is imported."""
    if settings.ray.address is None:
        os.environ.update({**ON_LOOPBACK, **auth_environment(settings, state_folder())})
    from cluster import bootstrap  # noqa: PLC0415  see above

    return bootstrap


def _say(line: str) -> None:
    click.echo(f"  {line}")


if __name__ == "__main__":
    try:
        main(standalone_mode=True)
    except TaskQueueError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
