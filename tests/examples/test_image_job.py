"""The image tasks, called directly: what they write and measure, and what they refuse."""

from pathlib import Path

import image_job
import pytest
from PIL import Image, ImageFilter, UnidentifiedImageError

from task_queue.codec import to_json
from task_queue.context import NoCurrentTask
from task_queue.tasks import TaskFunction


def save(picture: Image.Image, path: Path, exif: Image.Exif | None = None) -> str:
    picture.save(path, exif=exif or Image.Exif())
    return str(path)


def test_tasks_have_the_names_under_which_workers_know_them() -> None:
    assert image_job.thumbnail.name == "image_job.thumbnail"
    assert image_job.colour_statistics.name == "image_job.colour_statistics"
    assert image_job.thumbnail.task_options.queue == "images"


def test_a_thumbnail_fits_and_keeps_its_proportions(folder: Path, photograph: Path) -> None:
    made = image_job.thumbnail(str(photograph), size=64, out_dir=str(folder / "out"))
    with Image.open(made["thumbnail"]) as picture:
        assert (picture.format, picture.size) == ("JPEG", (64, 43))
    assert made["source_size"] == [640, 427] and made["thumbnail_size"] == [64, 43]
    assert made["source_bytes"] == photograph.stat().st_size
    assert made["thumbnail_bytes"] == Path(made["thumbnail"]).stat().st_size
    assert made["elapsed_seconds"] > 0
    to_json(made, "result")


def test_a_repeated_thumbnail_replaces_the_first_and_leaves_nothing_else(
    folder: Path, photograph: Path
) -> None:
    for _ in range(2):
        image_job.thumbnail(str(photograph), 64, str(folder))
    assert [path.name for path in folder.iterdir()] == ["rocket.jpg.64.jpg"]


def test_what_is_transparent_becomes_white(folder: Path) -> None:
    path = save(Image.new("RGBA", (40, 40), (0, 0, 0, 0)), folder / "clear.png")
    assert image_job.colour_statistics(path)["mean_colour"] == "#ffffff"
    with Image.open(image_job.thumbnail(path, 16, str(folder))["thumbnail"]) as picture:
        assert picture.getpixel((8, 8)) == (255, 255, 255)


def test_a_photograph_taken_on_its_side_is_put_upright(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    path = save(Image.new("RGB", (80, 40), "red"), folder / "side.jpg", exif=exif)
    assert image_job.thumbnail(path, 20, str(folder))["thumbnail_size"] == [10, 20]


@pytest.mark.parametrize("run", [image_job.thumbnail, image_job.colour_statistics])
def test_a_truncated_jpeg_is_an_error_worth_another_try(
    folder: Path, photograph: Path, run: TaskFunction[[str], object]
) -> None:
    broken = folder / "broken.jpg"
    data = photograph.read_bytes()
    broken.write_bytes(data[: len(data) // 2])
    with pytest.raises(OSError, match="truncated") as caught:
        run(str(broken))
    assert run.is_retryable(caught.value)
    assert not (folder / image_job.DEFAULT_OUT_DIR).exists()


@pytest.mark.parametrize("run", [image_job.thumbnail, image_job.colour_statistics])
def test_a_file_that_is_no_picture_is_not_tried_again(
    folder: Path, run: TaskFunction[[str], object]
) -> None:
    text = folder / "text.jpg"
    text.write_text("This is not a picture.\n")
    with pytest.raises(UnidentifiedImageError) as caught:
        run(str(text))
    assert not run.is_retryable(caught.value)


def test_colours_of_a_picture_that_is_half_red_and_half_blue(folder: Path) -> None:
    picture = Image.new("RGB", (40, 40), (255, 0, 0))
    picture.paste((0, 0, 255), (0, 0, 40, 10))
    measured = image_job.colour_statistics(save(picture, folder / "flag.png"))
    assert measured["mean_rgb"] == [191.2, 0.0, 63.8]
    assert measured["mean_colour"] == "#bf0040"
    assert measured["dominant_colours"] == [
        {"colour": "#ff0000", "share": 0.75},
        {"colour": "#0000ff", "share": 0.25},
    ]
    to_json(measured, "result")


def test_brightness_and_contrast_of_black_and_white(folder: Path) -> None:
    picture = Image.new("L", (10, 10), 0)
    assert image_job.colour_statistics(save(picture, folder / "0.png"))["brightness"] == 0.0
    picture.paste(255, (0, 0, 10, 5))
    measured = image_job.colour_statistics(save(picture, folder / "1.png"))
    assert (measured["brightness"], measured["contrast"]) == (0.5, 0.5)


def test_a_blurred_photograph_is_less_sharp(folder: Path, photograph: Path) -> None:
    with Image.open(photograph) as picture:
        blurred = save(picture.filter(ImageFilter.GaussianBlur(3)), folder / "blurred.png")
    sharp = image_job.colour_statistics(str(photograph))["sharpness"]
    assert image_job.colour_statistics(blurred)["sharpness"] < sharp / 10


def test_a_picture_of_one_pixel(folder: Path) -> None:
    path = save(Image.new("RGB", (1, 1), (1, 2, 3)), folder / "dot.png")
    measured = image_job.colour_statistics(path)
    assert (measured["mean_colour"], measured["sharpness"]) == ("#010203", 0.0)
    assert image_job.thumbnail(path, 64, str(folder))["thumbnail_size"] == [1, 1]


def test_flaky_storage_asks_which_attempt_it_is(photograph: Path) -> None:
    with pytest.raises(NoCurrentTask):
        image_job.thumbnail_from_flaky_storage(str(photograph))
