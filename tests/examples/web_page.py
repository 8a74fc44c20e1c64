"""Reads a page as a browser would: strictly enough to see that its tags match and what it loads."""

from html.parser import HTMLParser
from pathlib import Path

_NEVER_CLOSED = {"img", "meta"}


class WebPage(HTMLParser):
    """What a page says and what it would fetch.

    Raises:
        AssertionError: a tag is closed that is not open, or left open.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text = ""
        self.sources: list[str] = []  #: of everything that is loaded
        self.tags: list[str] = []
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        assert not self._open, f"{self._open} are left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in _NEVER_CLOSED:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        self.text += data
