"""What came of each picture, and the web page that shows all of them with their colours."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from finished_task import FinishedTask
from image_job import ColourStatistics, Thumbnail
from report import failure_section, write_page


@dataclass(frozen=True)
class PictureResult:
    """The two tasks of one picture."""

    file: str
    thumbnail: FinishedTask
    colours: FinishedTask

    @property
    def failed_task(self) -> FinishedTask | None:
        """One that failed, if one did."""
        return next((t for t in (self.thumbnail, self.colours) if not t.succeeded), None)

    def as_row(self) -> dict[str, object]:
        """As a line of the CSV file; what is not known is empty."""
        # Of the two tasks, a line tells the fate of the one that failed, if one did.
        told = self.failed_task or self.thumbnail
        small: Thumbnail | None = self.thumbnail.result
        colours: ColourStatistics | None = self.colours.result
        seconds = [t.seconds for t in (self.thumbnail, self.colours) if t.seconds is not None]
        return {
            "file": self.file,
            "pixels": _by(small["source_size"]) if small else "",
            "bytes": small["source_bytes"] if small else "",
            "thumbnail": small["thumbnail"] if small else "",
            "thumbnail_pixels": _by(small["thumbnail_size"]) if small else "",
            "thumbnail_bytes": small["thumbnail_bytes"] if small else "",
            "mean_colour": colours["mean_colour"] if colours else "",
            "brightness": colours["brightness"] if colours else "",
            "contrast": colours["contrast"] if colours else "",
            "sharpness": colours["sharpness"] if colours else "",
            "status": told.status,
            "attempts": told.attempts,
            "worker": told.worker_id or "",
            "milliseconds": round(sum(seconds) * 1000),
            "error": told.error or "",
            "task_id": told.task_id,
        }


def write_contact_sheet(
    path: Path,
    results: Sequence[PictureResult],
    failures: Sequence[tuple[str, FinishedTask]],
    replay_command: str,
) -> None:
    """Write the page: a card for each picture that succeeded, then the failures.

    Raises:
        OSError: a thumbnail cannot be read here; workers on other machines must write to a folder
            that this one shares.
    """
    cards = [_card(result) for result in results if result.failed_task is None]
    summary = f"{len(cards)} of {len(results)} pictures, each with the colours it is made of"
    sections = [
        f'<div class="cards">\n{"".join(cards)}</div>',
        failure_section(failures, replay_command),
    ]
    write_page(path, "Contact sheet", summary, sections)


def _card(result: PictureResult) -> str:
    small: Thumbnail = result.thumbnail.result
    colours: ColourStatistics = result.colours.result
    image = base64.b64encode(Path(small["thumbnail"]).read_bytes()).decode()
    retried = f" · {result.thumbnail.attempts} attempts" if result.thumbnail.attempts > 1 else ""
    return f"""<figure class="card">
<img src="data:image/jpeg;base64,{image}" alt="{escape(result.file)}">
<div class="swatches">{_swatches(colours)}</div>
<figcaption><strong>{escape(result.file)}</strong>
<small>{_by(small["source_size"])}{retried}</small>
<small>mean {colours["mean_colour"]} · brightness {colours["brightness"]:.2f}</small>
<small>contrast {colours["contrast"]:.2f} · sharpness {colours["sharpness"]:.4f}</small>
</figcaption></figure>
"""


def _swatches(colours: ColourStatistics) -> str:
    """The dominant colours, as wide as their shares."""
    return "".join(
        f'<span style="background:{dominant["colour"]};flex:{dominant["share"]}" '
        f'title="{dominant["colour"]}, {dominant["share"]:.0%}"></span>'
        for dominant in colours["dominant_colours"]
    )


def _by(size: Sequence[int]) -> str:
    width, height = size
    return f"{width} × {height}"
