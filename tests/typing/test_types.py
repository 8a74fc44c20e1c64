"""Runs mypy over the files of this folder that only have to type-check."""

from pathlib import Path

import mypy.api
import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.mark.parametrize("name", ["client_types.py"])
def test_it_type_checks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `strict`, an ignore that is not needed is an error too: what must not pass does not."""
    monkeypatch.chdir(ROOT)
    report, trouble, status = mypy.api.run(
        ["--config-file", str(ROOT / "pyproject.toml"), str(HERE / name)]
    )
    assert status == 0, report + trouble
