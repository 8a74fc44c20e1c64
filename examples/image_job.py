"""Image tasks: a thumbnail, and what colours a picture is made of.

This is the file to copy for tasks of your own. A task is an ordinary function with `@task` above:
JSON goes in, JSON comes out, and large data (here the pictures) stays in files whose paths travel.
Workers import this module; `run_images.py` submits its tasks. It knows nothing of either.

A task can run twice: its worker may die after the work and before the report. So each of these can
be repeated without harm, and writes its file under another name first and renames it when done.
"""

import tempfile
import time
from pathlib import Path
from typing import TypedDict

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from task_queue import current_task, task

#: Where thumbnails go if the caller does not say; relative to the worker's working directory.
DEFAULT_OUT_DIR = ".task-queue/examples/images/thumbnails"

#: Colours are measured on the picture reduced to this, so that those of a photograph of 50 million
#: pixels cost no more than those of a small one, and the sharpness of both can be compared.
_MEASURED_PIXELS = 1024

_DOMINANT_COLOURS = 5


class Thumbnail(TypedDict):
    """What `thumbnail` returns; sizes are [width, height] in pixels."""

    file: str
    source_size: list[int]
    source_bytes: int
    thumbnail: str
    thumbnail_size: list[int]
    thumbnail_bytes: int
    elapsed_seconds: float


class DominantColour(TypedDict):
    """One colour of a picture and the share of it, 0..1, that has about this colour."""

    colour: str
    share: float


class ColourStatistics(TypedDict):
    """What `colour_statistics` returns."""

    file: str
    mean_rgb: list[float]  #: 0..255 each
    mean_colour: str  #: the same as #rrggbb
    dominant_colours: list[DominantColour]  #: the most frequent first
    brightness: float  #: mean of the grey values, 0 (black) .. 1 (white)
    contrast: float  #: their standard deviation, 0..0.5
    sharpness: float  #: variance of their Laplacian: near 0 for a blurred picture
    elapsed_seconds: float


# A JPEG that ends too early may still be on its way here, so it is worth another try. A file that
# is no picture at all will not become one: it goes to the dead-letter queue at once.
@task(
    queue="images",
    timeout_seconds=60,
    max_retries=2,
    retry_base_seconds=0.2,
    never_retry_on=(UnidentifiedImageError,),
)
def thumbnail(path: str, size: int = 128, out_dir: str = DEFAULT_OUT_DIR) -> Thumbnail:
    """Write a JPEG thumbnail that fits into `size` x `size` pixels.

    Raises:
        OSError: the picture cannot be read, or is truncated.
        UnidentifiedImageError: the file is not a picture.
    """
    started = time.perf_counter()
    source = Path(path)
    picture = _read_rgb(source)
    small = picture.copy()
    small.thumbnail((size, size), Image.Resampling.LANCZOS)
    target = Path(out_dir) / f"{source.name}.{size}.jpg"
    _write_jpeg(small, target)
    return {
        "file": source.name,
        "source_size": list(picture.size),
        "source_bytes": source.stat().st_size,
        "thumbnail": str(target),
        "thumbnail_size": list(small.size),
        "thumbnail_bytes": target.stat().st_size,
        "elapsed_seconds": time.perf_counter() - started,
    }


@task(
    queue="images",
    timeout_seconds=60,
    max_retries=2,
    retry_base_seconds=0.2,
    never_retry_on=(UnidentifiedImageError,),
)
def colour_statistics(path: str) -> ColourStatistics:
    """Measure the colours, brightness, contrast and sharpness of a picture.

    Raises:
        OSError: the picture cannot be read, or is truncated.
        UnidentifiedImageError: the file is not a picture.
    """
    started = time.perf_counter()
    picture = _read_rgb(Path(path))
    picture.thumbnail((_MEASURED_PIXELS, _MEASURED_PIXELS))
    mean_rgb = np.asarray(picture, dtype=np.float64).mean(axis=(0, 1)).tolist()
    grey = np.asarray(picture.convert("L"), dtype=np.float64) / 255
    return {
        "file": Path(path).name,
        "mean_rgb": [round(channel, 1) for channel in mean_rgb],
        "mean_colour": _hex(mean_rgb),
        "dominant_colours": _dominant_colours(picture),
        # float(): a result is JSON, and numpy's own numbers are not.
        "brightness": round(float(grey.mean()), 4),
        "contrast": round(float(grey.std()), 4),
        "sharpness": round(_sharpness(grey), 6),
        "elapsed_seconds": time.perf_counter() - started,
    }


@task(queue="images", timeout_seconds=60, max_retries=2, retry_base_seconds=0.2)
def thumbnail_from_flaky_storage(
    path: str, size: int = 128, out_dir: str = DEFAULT_OUT_DIR
) -> Thumbnail:
    """As `thumbnail`, from storage that never answers the first time: a retry that helps.

    Raises:
        ConnectionError: always, at the first attempt.
    """
    if current_task().attempt == 1:
        raise ConnectionError("the storage did not answer (it does at the second attempt)")
    return thumbnail(path, size, out_dir)  # calling a task runs it here and now


def _read_rgb(source: Path) -> Image.Image:
    """The picture, upright, on white where it is transparent."""
    with Image.open(source) as picture:
        upright = ImageOps.exif_transpose(picture)
    if not upright.has_transparency_data:
        return upright.convert("RGB")
    layer = upright.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB")


def _write_jpeg(picture: Image.Image, target: Path) -> None:
    """Write all of the file or nothing, also when two attempts write it at the same time."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        unfinished = Path(folder) / target.name
        picture.save(unfinished, "JPEG", quality=85, optimize=True)
        unfinished.replace(target)


def _dominant_colours(picture: Image.Image) -> list[DominantColour]:
    reduced = picture.quantize(
        colors=_DOMINANT_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
    )
    palette = np.array(reduced.getpalette("RGB")).reshape(-1, 3)
    counts = np.bincount(np.asarray(reduced).ravel(), minlength=len(palette))
    most_frequent = np.argsort(-counts, kind="stable")[:_DOMINANT_COLOURS]
    return [
        {
            "colour": _hex(palette[index].tolist()),
            "share": round(float(counts[index] / counts.sum()), 4),
        }
        for index in most_frequent
        if counts[index] > 0
    ]


def _sharpness(grey: npt.NDArray[np.float64]) -> float:
    """The variance of the Laplacian: how much neighbouring pixels differ."""
    edge = np.pad(grey, 1, mode="edge")  # so that a picture of one pixel has neighbours too
    above, below, left, right = edge[:-2, 1:-1], edge[2:, 1:-1], edge[1:-1, :-2], edge[1:-1, 2:]
    return float((above + below + left + right - 4 * grey).var())


def _hex(rgb: list[float]) -> str:
    red, green, blue = (round(channel) for channel in rgb)
    return f"#{red:02x}{green:02x}{blue:02x}"
