"""`load_settings`: a YAML file and the environment become checked `Settings`, or one error.

The error lists all that is wrong, so that nobody mends a file key by key. It is the only place
where file, environment and models meet; the actors get the result through `settings_to_json`.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from task_queue.errors import ConfigError
from task_queue.settings.complaints import Locate, explain, line_of
from task_queue.settings.document import Document, KeyPath, read_document
from task_queue.settings.environment import Overlaid, overlay
from task_queue.settings.settings import Settings


def load_settings(path: Path, environ: Mapping[str, str]) -> Settings:
    """The settings of `path`, with the TASK_QUEUE_* variables of `environ` laid over them.

    Relative paths in them start from the working directory and come back absolute.

    Raises:
        ConfigError: one line for each thing that is wrong: where, the key, the value, what is
            allowed.
    """
    document = read_document(path)
    overlaid = overlay(document.values, environ)
    locate = _locator(path, document, overlaid)
    lines = [line_of(at, complaint, locate) for at, complaint in document.complaints]
    lines += [f"{variable}: {complaint}" for variable, complaint in overlaid.complaints]
    try:
        settings = Settings.model_validate(overlaid.values, context={"directory": Path.cwd()})
    except ValidationError as error:
        raise _config_error([*lines, *explain(error, locate)]) from error
    if lines:
        raise _config_error(lines)
    return settings


def settings_to_json(settings: Settings) -> bytes:
    """For the way to an actor."""
    return settings.model_dump_json().encode()


def settings_from_json(data: bytes) -> Settings:
    """What `settings_to_json` wrote; no file and no environment is looked at.

    Raises:
        ConfigError: it is something else, such as the settings of another release.
    """
    try:
        return Settings.model_validate_json(data)
    except ValidationError as error:
        raise _config_error(explain(error, lambda _: "settings as JSON")) from error


def _locator(path: Path, document: Document, overlaid: Overlaid) -> Locate:
    def locate(at: KeyPath) -> str:
        for length in range(len(at), -1, -1):
            if at[:length] in overlaid.variables:
                return overlaid.variables[at[:length]]
            if at[:length] in document.lines:
                return f"{path}:{document.lines[at[:length]]}"
        return str(path)

    return locate


def _config_error(lines: list[str]) -> ConfigError:
    if len(lines) == 1:
        return ConfigError(lines[0])
    return ConfigError("\n  ".join([f"{len(lines)} settings are wrong:", *lines]))
