"""Run the image tasks on real photographs, and show what came of them.

    python examples/run_images.py [--folder PICTURES] [--size 128] [--repeat 1]

Each picture is two tasks: a thumbnail and its colours. Three inputs are there to see what happens
when things go wrong: a JPEG that is cut off (tried again, then a dead letter), a text file called
.jpg (a dead letter at once, since trying again is of no use), and a photograph whose storage does
not answer the first time (the second attempt succeeds).
"""

import argparse
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import image_job
import skimage
from contact_sheet import PictureResult, write_contact_sheet
from finished_task import FinishedTask, submit_and_wait
from report import print_failures, print_places, task_queue_command, write_csv
from rich.console import Console
from rich.table import Table
from rich.text import Text

from task_queue import Client, TaskQueueError, submit_request
from task_queue.tasks import TaskFunction
from task_queue.wire import SubmitRequest

OUT_DIR = Path(".task-queue/examples/images")

_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
_PHOTOGRAPHS = Path(skimage.__file__).parent / "data"
#: What scikit-image ships beside its photographs.
_DRAWINGS = {
    "chessboard_GRAY.png", "chessboard_RGB.png", "color.png", "horse.png", "logo.png",
    "multipage.tif", "multipage_rgb.tif", "no_time_for_that_tiny.gif", "phantom.png",
}  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """One input, and how it is to be treated."""

    path: Path
    thumbnail_task: TaskFunction[..., image_job.Thumbnail] = image_job.thumbnail
    may_fail: bool = False  #: broken on purpose


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 if nothing failed but what is broken on purpose."""
    options = parse(argv)
    console = Console()
    try:
        pictures = find_pictures(options.folder) + make_difficult_pictures(OUT_DIR / "inputs")
        with Client(options.url) as client:
            return run(client, pictures, options, console)
    except (TaskQueueError, OSError) as error:
        console.print(Text(f"error: {error}", style="red"))
        return 2


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description="Thumbnails and colours of photographs.")
    parser.add_argument("--url", help="of the task queue; TASK_QUEUE_URL unless given")
    parser.add_argument("--folder", type=Path, help="of pictures, instead of those shipped")
    parser.add_argument("--size", type=int, default=128, help="of the thumbnails, in pixels")
    parser.add_argument("--repeat", type=int, default=1, help="do the same work so many times")
    parser.add_argument(
        "--run-id", default=f"images-{secrets.token_hex(4)}",
        help="that of an earlier run: pick up its tasks instead of submitting new ones",
    )  # fmt: skip
    options = parser.parse_args(argv)
    if options.size < 1 or options.repeat < 1:
        parser.error("--size and --repeat must be 1 or more")
    return options


def run(
    client: Client, pictures: Sequence[Picture], options: argparse.Namespace, console: Console
) -> int:
    """Submit the tasks, wait for them, show and save what came of them; the exit code.

    Raises:
        TaskQueueError: the queue did not accept the tasks, or went away.
    """
    work = [*pictures] * options.repeat
    console.print(f"Run {options.run_id}: {2 * len(work)} tasks for {len(work)} pictures")
    tasks = submit_and_wait(client, requests_for(work, options), options.run_id)
    results = [
        PictureResult(picture.path.name, thumbnail, colours)
        for picture, thumbnail, colours in zip(work, tasks[::2], tasks[1::2], strict=True)
    ]
    # Repetitions are load: to show them would only be to show the same pictures again.
    shown = results[: len(pictures)]
    failures = failures_of(results)
    replay_command = task_queue_command("dlq", "replay", "--tag", options.run_id)
    console.print(results_table(shown))
    print_failures(console, failures, replay_command)
    csv_file, page = OUT_DIR / "results.csv", OUT_DIR / "index.html"
    write_csv(csv_file, [result.as_row() for result in results])
    write_contact_sheet(page, shown, failures, replay_command)
    print_places(console, [csv_file, page], client.url)
    return exit_code(work, results)


def find_pictures(folder: Path | None) -> list[Picture]:
    """The pictures in `folder`, or the photographs that scikit-image ships if it is None.

    Raises:
        FileNotFoundError: there is no such folder, or no picture in it.
    """
    where = folder or _PHOTOGRAPHS
    paths = [path for path in sorted(where.iterdir()) if path.suffix.lower() in _SUFFIXES]
    if folder is None:
        paths = [path for path in paths if path.name not in _DRAWINGS]
    if not paths:
        raise FileNotFoundError(
            f"no pictures in {where}: looked for {', '.join(sorted(_SUFFIXES))}"
        )
    return [Picture(path.resolve()) for path in paths]


def make_difficult_pictures(folder: Path) -> list[Picture]:
    """Three inputs on which an attempt fails; two of them are broken for good."""
    folder.mkdir(parents=True, exist_ok=True)
    photograph = (_PHOTOGRAPHS / "rocket.jpg").read_bytes()
    truncated, text, flaky = (folder / f"{name}.jpg" for name in ("truncated", "text", "flaky"))
    truncated.write_bytes(photograph[: len(photograph) // 2])
    text.write_text("This is not a picture.\n")
    flaky.write_bytes(photograph)
    return [
        Picture(truncated.resolve(), may_fail=True),
        Picture(text.resolve(), may_fail=True),
        Picture(flaky.resolve(), image_job.thumbnail_from_flaky_storage),
    ]


def requests_for(work: Sequence[Picture], options: argparse.Namespace) -> list[SubmitRequest]:
    """Two tasks for each picture: its thumbnail, then its colours.

    Each has an idempotency key, so that submitting it again does not make a second task: neither
    when the client repeats a request of which nobody knows whether it arrived, nor with --run-id.
    """
    out_dir = str((OUT_DIR / "thumbnails").resolve())
    tags = [options.run_id]
    requests = []
    for number, picture in enumerate(work):
        key, path = f"{options.run_id}/{number}", str(picture.path)
        thumbnail = picture.thumbnail_task.options(idempotency_key=f"{key}/thumbnail", tags=tags)
        colours = image_job.colour_statistics.options(idempotency_key=f"{key}/colours", tags=tags)
        requests.append(submit_request(thumbnail, path, size=options.size, out_dir=out_dir))
        requests.append(submit_request(colours, path))
    return requests


def failures_of(results: Sequence[PictureResult]) -> list[tuple[str, FinishedTask]]:
    """The tasks that failed, each with its picture and function."""
    return [
        (f"{result.file}: {task.short_name}", task)
        for result in results
        for task in (result.thumbnail, result.colours)
        if not task.succeeded
    ]


def results_table(results: Sequence[PictureResult]) -> Table:
    """One line for each picture."""
    table = Table("file", title="Pictures", title_justify="left")
    for heading in ("pixels", "colour", "status", "tries", "ms"):  # the CSV file has the rest
        table.add_column(heading, no_wrap=True)
    for result in results:
        row = result.as_row()
        colour = str(row["mean_colour"])
        swatch = Text.assemble(("  ", f"on {colour}"), f" {colour}") if colour else Text()
        ok = row["status"] == "COMPLETED"
        table.add_row(
            Text(result.file), str(row["pixels"]), swatch,
            Text(str(row["status"]), style="green" if ok else "red"),
            str(row["attempts"]), str(row["milliseconds"]),
        )  # fmt: skip
    return table


def exit_code(work: Sequence[Picture], results: Sequence[PictureResult]) -> int:
    """0 if nothing failed but what may, else 1."""
    as_hoped = (
        picture.may_fail or result.failed_task is None
        for picture, result in zip(work, results, strict=True)
    )
    return 0 if all(as_hoped) else 1


if __name__ == "__main__":
    sys.exit(main())
