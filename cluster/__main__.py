"""`python -m cluster up|down|status CONFIG`: the operator's command line."""

import os
import sys
from pathlib import Path
from types import ModuleType

import click
import httpx

from cluster.local_ray import auth_environment
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
    """Start what CONFIG describes, or what of it is missing, and wait until it is healthy."""
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
    url = f"http://{settings.http.host}:{settings.http.port}"
    try:
        answer = httpx.get(f"{url}/health", timeout=5.0)
    except httpx.TransportError:
        raise click.ClickException(
            f"nothing answers at {url}: python -m cluster up {config}"
        ) from None
    health = answer.json()
    click.echo(f"{url}  {health['status']}")
    for part, check in health["checks"].items():
        details = ", ".join(f"{k} {v}" for k, v in check.items() if k != "status")
        click.echo(f"  {part:<10} {check['status']:<15} {details}")
    sys.exit(0 if health["status"] == "healthy" else 1)


def _load(config: Path) -> Settings:
    return load_settings(config, os.environ)


def _bootstrap(settings: Settings) -> ModuleType:
    """Import Ray only now: that takes seconds, a bad config should take none, and Ray reads how to
    prove who we are when it is imported."""
    if settings.ray.address is None:
        os.environ.update(auth_environment(settings, state_folder()))
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
