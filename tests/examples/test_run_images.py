"""The runner of the image tasks, on a queue that runs them at once."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import pytest
import run_images
from PIL import Image
from rich.console import Console

from task_queue import Client
from tests.examples.web_page import WebPage


def run(
    client: Client, console: Console, pictures: Sequence[run_images.Picture], *argv: str
) -> int:
    options = run_images.parse(["--run-id", "test", *argv])
    return run_images.run(client, pictures, options, console)


def rows() -> dict[str, dict[str, str]]:
    with (run_images.OUT_DIR / "results.csv").open(newline="", encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def test_the_photographs_are_those_in_the_installed_package() -> None:
    pictures = run_images.find_pictures(None)
    names = {picture.path.name for picture in pictures}
    assert len(pictures) >= 15 and {"astronaut.png", "chelsea.png", "coffee.png"} <= names
    assert "logo.png" not in names
    for picture in pictures:
        with Image.open(picture.path) as image:
            image.load()


def test_a_folder_is_searched_for_pictures(folder: Path) -> None:
    for name in ("b.JPG", "a.png", "notes.txt"):
        (folder / name).touch()
    assert [picture.path.name for picture in run_images.find_pictures(folder)] == ["a.png", "b.JPG"]


def test_a_folder_without_pictures_ends_with_a_message(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_images.main(["--folder", str(folder)]) == 2
    assert "no pictures in" in capsys.readouterr().out


def test_only_what_is_broken_on_purpose_fails(
    folder: Path, client: Client, console: Console, photograph: Path
) -> None:
    pictures = [
        run_images.Picture(photograph),
        *run_images.make_difficult_pictures(folder / "inputs"),
    ]
    assert run(client, console, pictures, "--size", "32") == 0
    told = {file: (row["status"], row["attempts"]) for file, row in rows().items()}
    assert told == {
        "rocket.jpg": ("COMPLETED", "1"),
        "truncated.jpg": ("FAILED", "3"),  # tried again, in vain
        "text.jpg": ("FAILED", "1"),  # not worth it
        "flaky.jpg": ("COMPLETED", "2"),  # the second attempt helped
    }
    assert rows()["rocket.jpg"]["thumbnail_pixels"] == "32 × 21"
    assert rows()["rocket.jpg"]["milliseconds"] == "500"


def test_what_is_printed(folder: Path, client: Client, console: Console) -> None:
    run(client, console, run_images.make_difficult_pictures(folder))
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue()
    assert "truncated.jpg: thumbnail" in printed and "OSError: image file is truncated" in printed
    assert (
        "In the dead-letter queue: 4" in printed and "task-queue dlq replay --tag test" in printed
    )
    assert (folder / run_images.OUT_DIR / "index.html").as_uri() in printed
    assert f"{client.url}/ui" in printed


def test_the_contact_sheet_carries_its_pictures_and_the_failures(
    folder: Path, client: Client, console: Console, photograph: Path
) -> None:
    pictures = [
        run_images.Picture(photograph),
        *run_images.make_difficult_pictures(folder / "inputs"),
    ]
    run(client, console, pictures)
    page = WebPage(run_images.OUT_DIR / "index.html")
    assert page.tags.count("img") == 2
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources)
    assert "2 of 4 pictures" in page.text and "2 attempts" in page.text
    assert "text.jpg: colour_statistics" in page.text
    assert "task-queue dlq replay --tag test" in page.text


def test_another_broken_picture_is_a_failure_of_the_run(
    folder: Path, client: Client, console: Console, photograph: Path
) -> None:
    (folder / "mine.jpg").write_text("no picture")
    pictures = [run_images.Picture(photograph), run_images.Picture(folder / "mine.jpg")]
    assert run(client, console, pictures) == 1


def test_repeated_work_is_other_tasks_and_shown_once(
    folder: Path, client: Client, console: Console, photograph: Path
) -> None:
    assert run(client, console, [run_images.Picture(photograph)], "--repeat", "3") == 0
    assert len(list(client.list_tasks())) == 6
    assert len((run_images.OUT_DIR / "results.csv").read_text().splitlines()) == 4
    assert WebPage(run_images.OUT_DIR / "index.html").tags.count("img") == 1


def test_the_same_run_again_submits_nothing_new(
    folder: Path, client: Client, console: Console, photograph: Path
) -> None:
    for _ in range(2):
        assert run(client, console, [run_images.Picture(photograph)]) == 0
    assert len(list(client.list_tasks())) == 2


@pytest.mark.parametrize("argv", [["--size", "0"], ["--repeat", "0"]])
def test_options_out_of_range_are_refused(argv: list[str]) -> None:
    with pytest.raises(SystemExit):
        run_images.parse(argv)
