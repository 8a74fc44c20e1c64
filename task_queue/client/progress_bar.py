"""The progress bar of `map` and `gather`, on stderr, shown where somebody can see it."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class ProgressBar:
    """Counts tasks that are over."""

    def __init__(self, progress: Progress | None, total: int, label: str) -> None:
        self._progress = progress
        self.total = total
        self.done = 0
        self.failed = 0
        self._line = progress.add_task(label, total=total, counts="") if progress else None

    def advance(self, failed: bool) -> None:
        """One more task is over."""
        self.done += 1
        self.failed += failed
        if self._progress is not None and self._line is not None:
            self._progress.update(self._line, completed=self.done, counts=self.counts())

    def counts(self) -> str:
        """Exact figures: ``1,234/50,000, 3 failed``."""
        failed = f", {self.failed:,} failed" if self.failed else ""
        return f"{self.done:,}/{self.total:,}{failed}"


@contextmanager
def progress_bar(
    shown: bool | None, total: int, label: str, console: Console | None = None
) -> Iterator[ProgressBar]:
    """A bar for `total` tasks. `shown`: None shows it on a terminal and in a notebook."""
    screen = console or _console()
    if shown is None:
        shown = screen.is_terminal or screen.is_jupyter
    if not shown or total == 0:
        yield ProgressBar(None, total, label)
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[counts]}"),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=screen) as progress:
        yield ProgressBar(progress, total, label)


def _console() -> Console:
    console = Console(stderr=True)
    if console.is_jupyter and importlib.util.find_spec("ipywidgets") is None:
        # Without ipywidgets rich shows a warning in a notebook and no bar; one line that is
        # written over works in any.
        return Console(stderr=True, force_jupyter=False, force_terminal=True, width=100)
    return console
