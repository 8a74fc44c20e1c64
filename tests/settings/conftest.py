"""A settings file in a working directory of its own."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from task_queue.errors import ConfigError
from task_queue.settings import Settings, load_settings

#: The least that a file needs.
POOL = "pools: {default: {}}\n"

Load = Callable[..., Settings]
Complaints = Callable[..., list[str]]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads a text as ``s.yaml``; a pool is added unless the text has pools."""
    monkeypatch.chdir(tmp_path)

    def load_text(text: str = "", environ: Mapping[str, str] | None = None) -> Settings:
        whole = text if "pools" in text else f"{text}\n{POOL}"
        Path("s.yaml").write_text(whole, encoding="utf-8")
        return load_settings(Path("s.yaml"), environ or {})

    return load_text


@pytest.fixture
def complaints(load: Load) -> Complaints:
    """The lines of the error that a text leads to, without the headline."""

    def lines(text: str = "", environ: Mapping[str, str] | None = None) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, environ)
        message = str(caught.value).split("\n  ")
        return message if len(message) == 1 else message[1:]

    return lines
