"""Tasks that the client's tests submit; nothing ever runs them."""

from task_queue.tasks import task


@task(name="images.thumbnail", queue="images")
def thumbnail(path: str, size: int = 128) -> dict[str, int]:
    """Make a small picture."""
    return {path: size}


@task(name="math.add")
def add(left: int, right: int) -> int:
    """Add two numbers."""
    return left + right


@task(name="net.fetch")
async def fetch(url: str) -> str:
    """Read a page."""
    return url
