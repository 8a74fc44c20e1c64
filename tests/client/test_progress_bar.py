"""The progress bar: exact counts, and only where somebody can see it."""

import io

import pytest
from rich.console import Console

from task_queue.client.client import Client
from task_queue.client.progress_bar import progress_bar
from tests.client.example_tasks import add


def screen(terminal: bool) -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, force_terminal=terminal, force_jupyter=False, width=100), text


def test_it_counts_exactly_what_is_over_and_what_failed() -> None:
    console, text = screen(terminal=True)
    with progress_bar(None, 1_200, "math.add", console) as bar:
        for number in range(1_200):
            bar.advance(failed=number < 3)
        assert bar.counts() == "1,200/1,200, 3 failed"
    assert "math.add" in text.getvalue() and "1,200/1,200, 3 failed" in text.getvalue()


def test_it_is_not_shown_in_a_pipe_unless_asked_for() -> None:
    console, text = screen(terminal=False)
    with progress_bar(None, 10, "x", console) as bar:
        bar.advance(failed=False)
    assert (text.getvalue(), bar.done) == ("", 1)
    with progress_bar(True, 10, "x", console) as bar:
        bar.advance(failed=False)
    assert "1/10" in text.getvalue()


def test_it_is_not_shown_if_not_wanted() -> None:
    console, text = screen(terminal=True)
    with progress_bar(False, 10, "x", console):
        pass
    assert text.getvalue() == ""


def test_map_shows_it_on_stderr(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    client.map(add, [1, 2], [3, 4], progress=True)
    shown = capsys.readouterr()
    assert "2/2" in shown.err and "math.add" in shown.err and shown.out == ""
    client.map(add, [1, 2], [3, 4])
    assert capsys.readouterr().err == ""
