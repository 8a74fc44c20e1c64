"""Reads a settings file: YAML without its surprises, and where in the file each key stands.

YAML 1.1 reads ``on`` as true, ``010`` as 8 and ``2026-01-25`` as a date, lets the second of two
equal keys win without a word, and lets a short text grow without bound through aliases. Here there
are null, true, false, decimal numbers, text, lists and mappings; all else is text or is refused.
What the keys mean is not known here.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from task_queue.errors import ConfigError

#: Where a value stands: keys, and positions in lists.
KeyPath = tuple[str | int, ...]

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9_]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {"null": None, "~": None, "": None, "true": True, "false": False}
#: A file may not be deeper; settings need five.
_DEPTH_MAX = 20


class Document(NamedTuple):
    """A file's content."""

    values: dict[str, Any]
    lines: Mapping[KeyPath, int]  #: of each key, from 1
    complaints: list[tuple[KeyPath, str]]  #: keys that stand twice and the like


class _Loader(yaml.SafeLoader):
    """Scalars stay text (`_scalar` reads them), and an alias is an error."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  as the base class has it

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = super().peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError(
                f"line {line}: aliases (*) are not supported: write the value again, in quotes if "
                "it is text that begins with a *"
            )
        if getattr(event, "tag", None) is not None:
            raise yaml.YAMLError(
                f"line {line}: tags (!) are not supported: write the plain value, in quotes if it "
                "is text that begins with a !"
            )
        return super().compose_node(parent, index)


def read_document(path: Path) -> Document:
    """The content of `path`; an empty file is an empty mapping.

    Raises:
        ConfigError: it cannot be read, or is not a YAML mapping.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    try:
        node = yaml.compose(text, _Loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{path}: {_yaml_complaint(error)}") from None  # it shows the line
    if node is None:
        return Document({}, {}, [])
    reading = _Reading()
    values = reading.value(node, ())
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: is not a mapping: begin with a section, such as 'pools:'")
    return Document(values, reading.lines, reading.complaints)


def read_value(text: str) -> Any:
    """The one value that `text` stands for, as it would after ``key:`` in a file.

    Raises:
        ConfigError: it is not YAML, without naming where it came from.
    """
    try:
        node = yaml.compose(text, _Loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(_yaml_complaint(error)) from None
    if node is None:
        return None
    reading = _Reading()
    value = reading.value(node, ())
    if reading.complaints:
        raise ConfigError("; ".join(complaint for _, complaint in reading.complaints))
    return value


class _Reading:
    """One walk through a tree of YAML nodes."""

    def __init__(self) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.complaints: list[tuple[KeyPath, str]] = []

    def value(self, node: yaml.Node, at: KeyPath) -> Any:
        self.lines.setdefault(at, node.start_mark.line + 1)
        if len(at) > _DEPTH_MAX:
            self.complaints.append((at[:1], f"is nested more than {_DEPTH_MAX} deep"))
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, at)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*at, i)) for i, item in enumerate(node.value)]
        plain = isinstance(node, yaml.ScalarNode) and node.style is None
        return _scalar(node.value) if plain else node.value

    def _mapping(self, node: yaml.MappingNode, at: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.complaints.append((at, f"has a key that is not text, in line {line}"))
                continue
            key = (*at, key_node.value)
            if key_node.value in values:
                first = self.lines[key]
                self.complaints.append((key, f"stands twice, in lines {first} and {line}"))
                continue
            self.lines[key] = line
            values[key_node.value] = self.value(value_node, key)
        return values


def _scalar(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    try:
        if _INTEGER.fullmatch(text):
            return int(text.replace("_", ""))
        if _NUMBER.fullmatch(text):
            return float(text.replace("_", ""))
    except ValueError:  # more digits than Python converts: no setting's number, so it stays text
        return text
    return text


def _yaml_complaint(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    parts = [getattr(error, "context", None), getattr(error, "problem", None)]
    problem = ", ".join(part for part in parts if part) or " ".join(str(error).split())
    return f"not YAML: {place}{problem}"
