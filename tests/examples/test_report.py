"""CSV files and pages from given results."""

import csv
import io
from pathlib import Path

import pytest
from finished_task import FinishedTask
from report import cell, failure_section, html_table, print_failures, write_csv, write_page
from rich.console import Console

from tests.examples.web_page import WebPage

FAILED = FinishedTask(
    task_id="0190-a", name="image_job.thumbnail", status="FAILED", attempts=3,
    worker_id="images-1", seconds=0.1, in_dlq=True, error="OSError: <broken> [red] & \"cut\" off",
)  # fmt: skip


def test_csv_gives_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.csv"
    write_csv(path, [{"file": 'a,"b".jpg', "error": ""}, {"file": "ü\nx", "error": None}])
    with path.open(newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == [
            {"file": 'a,"b".jpg', "error": ""},
            {"file": "ü\nx", "error": ""},
        ]


def test_csv_refuses_rows_that_do_not_belong_together(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has the columns"):
        write_csv(tmp_path / "a.csv", [{"a": 1}, {"b": 2}])
    with pytest.raises(ValueError, match="no rows"):
        write_csv(tmp_path / "a.csv", [])


def test_a_page_says_what_it_was_given_and_loads_nothing(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    table = html_table(["<h>"], [[cell("<script>", "error")]])
    write_page(path, "<T> & co", "a < b", [table, failure_section([("cat.jpg", FAILED)], "go <x>")])
    page = WebPage(path)
    for text in ("<T> & co", "a < b", "<h>", "<script>", FAILED.error or "", "go <x>", "0190-a"):
        assert text in page.text
    assert "script" not in page.tags and page.sources == []
    assert "url(" not in path.read_text() and "@import" not in path.read_text()


def test_a_page_can_be_read_in_light_and_dark(tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", "T", "s", [])
    style = (tmp_path / "page.html").read_text()
    assert "color-scheme: light dark" in style and "prefers-color-scheme: dark" in style


def test_no_failures_are_said_to_be_none(tmp_path: Path) -> None:
    assert "None." in failure_section([], "replay")


def test_failures_in_a_terminal(console: Console) -> None:
    print_failures(console, [("cat.jpg", FAILED)], "task-queue dlq replay --tag images-1")
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue()
    assert "cat.jpg" in printed and "[red]" in printed  # shown, not taken for markup
    assert (
        "In the dead-letter queue: 1" in printed
        and "task-queue dlq replay --tag images-1" in printed
    )
