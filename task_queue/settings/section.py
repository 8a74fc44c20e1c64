"""What all sections of the settings have in common: frozen, strict, no unknown keys.

Here are also the kinds of value that several sections use. A rule about one field is written beside
that field; a rule about several raises `Wrong`, which can name more than one of them at once. The
models know nothing of files and the environment.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationInfo


class Section(BaseModel):
    """A part of the settings. Text is not turned into numbers, nor numbers into text."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        validate_default=True,
        # A section that the file leaves out gets its paths made absolute as well.
        revalidate_instances="always",
        # What was given may be a secret: `complaints` decides what is shown of it.
        hide_input_in_errors=True,
    )


Port = Annotated[int, Field(ge=1, le=65_535)]
Count = Annotated[int, Field(ge=1)]
Bytes = Annotated[int, Field(ge=1)]
#: Ten years is "never" for a period, and still an instant that a date can express.
TEN_YEARS = 10 * 365 * 86_400.0
Period = Annotated[float, Field(gt=0, le=TEN_YEARS)]
Text = Annotated[str, Field(min_length=1)]
#: YAML and JSON know lists only, which a strict tuple refuses; the items stay strict.
Texts = Annotated[tuple[Text, ...], Strict(False)]


class Fault(NamedTuple):
    """One wrong value, found by a rule about several fields."""

    key: tuple[str, ...]  #: below the model that has the rule
    complaint: str  #: the value and what is allowed


class Wrong(ValueError):
    """Raised by a validator that found any number of faults."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{'.'.join(f.key)}: {f.complaint}" for f in faults))
        self.faults = tuple(faults)


def refuse(faults: Sequence[Fault]) -> None:
    """Raise the faults, if there are any.

    Raises:
        Wrong: there are.
    """
    if faults:
        raise Wrong(faults)


def working_directory(info: ValidationInfo) -> Path | None:
    """The directory that relative paths start from; None where settings only travel.

    Paths are made absolute, and looked for, on the machine that loads the file. An actor that
    receives the settings elsewhere takes them as they are.
    """
    context = info.context or {}
    directory: Path | None = context.get("directory")
    return directory


def twice(values: Sequence[str]) -> list[str]:
    """The values that occur more than once, each once."""
    return sorted({value for value in values if values.count(value) > 1})
