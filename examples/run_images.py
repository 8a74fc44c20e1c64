"""Run the image tasks on real photographs, and show what came of them.

    python examples/run_images.py [--folder PICTURES] [--size 128] [--repeat 1]

Each picture is two tasks: a thumbnail and its colours. Three inputs are there to see what happens
when things go wrong: a JPEG that is cut off (tried again, then a dead letter), a text file called
.jpg (a dead letter at once, since trying again is of no use), and a photograph whose storage does
not answer the first time (the second attempt succeeds).
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import image_job
import skimage
from finished_task import FinishedTask, wait_for_all
from image_job import Thumbnail
from report import failure_table
from rich.console import Console
from rich.table import Table
from rich.text import Text

from task_queue import Client, TaskQueueError, submit_request
from task_queue.tasks import TaskFunction
from task_queue.wire import SubmitRequest

OUT_DIR = Path(".task-queue/examples/images")
REPLAY_COMMAND = "task-queue dlq replay --queue images"

_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
#: What scikit-image ships beside its photographs.
_DRAWINGS = {
    "chessboard_GRAY.png", "chessboard_RGB.png", "color.png", "horse.png", "logo.png",
    "multipage.tif", "multipage_rgb.tif", "no_time_for_that_tiny.gif", "phantom.png",
}  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """One input, and what is expected of it."""

    path: Path
    thumbnail_task: TaskFunction[..., Thumbnail] = image_job.thumbnail
    is_broken: bool = False


@dataclass(frozen=True)
class PictureResult:
    """What came of the two tasks of a picture."""

    picture: Picture
    thumbnail: FinishedTask
    colours: FinishedTask

    @property
    def tasks(self) -> tuple[FinishedTask, FinishedTask]:
        return self.thumbnail, self.colours

    @property
    def is_as_expected(self) -> bool:
        """Broken pictures fail, all others succeed."""
        return all(task.succeeded != self.picture.is_broken for task in self.tasks)


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 if only the inputs failed that are broken on purpose."""
    options = _parse(argv)
    console = Console()
    try:
        pictures = find_pictures(options.folder) + make_difficult_pictures(OUT_DIR / "inputs")
        results = run(Client(options.url), pictures * options.repeat, options, console)
    except (TaskQueueError, FileNotFoundError) as error:
        console.print(Text(f"error: {error}", style="red"))
        return 2
    # Further repetitions are load: they would only show the same pictures again.
    show(results[: len(pictures)], failures_of(results), console)
    save(results, results[: len(pictures)], console)
    return 0 if all(result.is_as_expected for result in results) else 1


def find_pictures(folder: Path | None) -> list[Picture]:
    """The pictures in `folder`, or the photographs that scikit-image ships if it is None.

    Raises:
        FileNotFoundError: there is no such folder, or no picture in it.
    """
    where = folder or Path(skimage.__file__).parent / "data"
    paths = [path for path in sorted(where.iterdir()) if path.suffix.lower() in _SUFFIXES]
    if folder is None:
        paths = [path for path in paths if path.name not in _DRAWINGS]
    if not paths:
        raise FileNotFoundError(
            f"no pictures in {where}: looked for {', '.join(sorted(_SUFFIXES))}"
        )
    return [Picture(path.resolve()) for path in paths]


def make_difficult_pictures(folder: Path) -> list[Picture]:
    """Three inputs that need the queue's patience; two of them are broken for good."""
    folder.mkdir(parents=True, exist_ok=True)
    rocket = (Path(skimage.__file__).parent / "data" / "rocket.jpg").read_bytes()
    truncated, text, flaky = folder / "truncated.jpg", folder / "text.jpg", folder / "flaky.jpg"
    truncated.write_bytes(rocket[: len(rocket) // 2])
    text.write_text("This is not a picture.\n")
    flaky.write_bytes(rocket)
    return [
        Picture(truncated.resolve(), is_broken=True),
        Picture(text.resolve(), is_broken=True),
        Picture(flaky.resolve(), image_job.thumbnail_from_flaky_storage),
    ]


def run(
    client: Client, pictures: Sequence[Picture], options: argparse.Namespace, console: Console
) -> list[PictureResult]:
    """Submit two tasks for each picture and wait for all of them.

    Raises:
        TaskQueueError: the queue did not take them, or went away.
    """
    requests = [
        request
        for number, picture in enumerate(pictures)
        for request in requests_for(picture, options.size, f"{options.run_id}:{number}")
    ]
    handles = client.submit_many(requests)
    console.print(f"Submitted {len(handles)} tasks for {len(pictures)} pictures.")
    finished = wait_for_all(client, handles, console)
    pairs = zip(finished[::2], finished[1::2], strict=True)
    return [PictureResult(pictures[i], *pair) for i, pair in enumerate(pairs)]


def requests_for(picture: Picture, size: int, key: str) -> list[SubmitRequest]:
    """The two tasks of a picture.

    With an idempotency key, a task that the queue has already is not made a second time: a submit
    can be repeated when nobody knows whether it arrived.
    """
    path, out_dir = str(picture.path), str((OUT_DIR / "thumbnails").resolve())
    thumbnail = picture.thumbnail_task.options(idempotency_key=f"{key}:thumbnail")
    colours = image_job.colour_statistics.options(idempotency_key=f"{key}:colours")
    return [
        submit_request(thumbnail, path, size=size, out_dir=out_dir),
        submit_request(colours, path),
    ]


def failures_of(results: Sequence[PictureResult]) -> dict[str, FinishedTask]:
    """The tasks that failed, by picture and task."""
    return {
        f"{result.picture.path.name} {task.name.partition('.')[2]}": task
        for result in results
        for task in result.tasks
        if not task.succeeded
    }


def show(
    results: Sequence[PictureResult], failures: dict[str, FinishedTask], console: Console
) -> None:
    """Print the results as a table, and what to do about the failures."""
    headings = (
        "file", "size", "thumbnail", "mean colour", "status", "attempts", "worker", "ms",
    )  # fmt: skip
    table = Table(*headings, title="Pictures", title_justify="left")
    for result in results:
        row = csv_row(result)
        table.add_row(
            Text(result.picture.path.name),
            _dimensions(row["width"], row["height"]),
            _dimensions(row["thumbnail_width"], row["thumbnail_height"]),
            _swatch(row["mean_colour"]),
            Text(row["status"], style="green" if row["status"] == "COMPLETED" else "red"),
            str(row["attempts"]),
            Text(row["worker_id"] or ""),
            str(row["milliseconds"]),
        )
    console.print(table)
    if failures:
        console.print(failure_table(failures))
        console.print(f"Once the cause is mended, run them again: {REPLAY_COMMAND}", style="bold")
