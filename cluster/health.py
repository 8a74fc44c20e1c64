"""How a cluster is: asked of its HTTP API, as a stranger would."""

import asyncio
import os

import httpx

from cluster.api_url import api_url
from task_queue.errors import TaskQueueError
from task_queue.settings import Settings


class NoHealth(TaskQueueError):
    """The API did not say how it is; the message says why not."""


def read_health(settings: Settings, config: str) -> tuple[list[str], bool]:
    """Lines that say how the cluster is, and whether it is healthy.

    Args:
        config: as the operator wrote it, for the message.

    Raises:
        NoHealth: nothing answers, or not what answers /health here.
    """
    url = api_url(settings)
    key = os.environ.get("TASK_QUEUE_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        answer = httpx.get(f"{url}/health", headers=headers, timeout=5.0)
    except httpx.TransportError as error:
        raise NoHealth(
            f"nothing answers at {url} ({type(error).__name__}): python -m cluster up {config}"
        ) from None
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        cure = "TASK_QUEUE_API_KEY is not one that it knows" if key else "set TASK_QUEUE_API_KEY"
        raise NoHealth(
            f"{url} answers, but /health needs an API key here (http.open_paths does not name it): "
            f"{cure}"
        )
    return _lines(url, answer)


def _lines(url: str, answer: httpx.Response) -> tuple[list[str], bool]:
    try:
        health = answer.json()
        status, checks = health["status"], health["checks"]
        lines = [f"{url}  {status}"]
        for part, check in checks.items():
            details = ", ".join(
                f"{name} {value}"
                for name, value in check.items()
                if name != "status" and value not in (None, "")
            )
            lines.append(f"  {part:<10} {check['status']:<15} {details}".rstrip())
    except (ValueError, KeyError, TypeError, AttributeError):
        raise NoHealth(
            f"what answers at {url}/health is not a task queue (HTTP {answer.status_code}): end "
            f"it, or choose another http.port. It says: {answer.text[:200]!r}"
        ) from None
    return lines, status == "healthy"


async def wait_for_api(settings: Settings, seconds: float) -> str:
    """Wait until the API is healthy, or wants a key before it says so. Returns what it lacks."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    lacking = ""
    async with httpx.AsyncClient(base_url=api_url(settings), timeout=5.0) as client:
        while loop.time() < deadline:
            try:
                answer = await client.get("/health")
                if answer.status_code in (httpx.codes.OK, httpx.codes.UNAUTHORIZED):
                    return ""
                lacking = f"health: {answer.text}"
            except httpx.TransportError as error:
                lacking = f"the HTTP API does not answer: {error!r}"
            await asyncio.sleep(0.2)
    return lacking
