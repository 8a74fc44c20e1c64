"""Passwords, tokens and keys of the settings are in no error and in no repr."""

import traceback

import pytest

from task_queue.errors import ConfigError
from task_queue.settings import Settings, settings_from_json, settings_to_json
from tests.settings.conftest import Load

SECRET = "hunter2-marker"


@pytest.mark.parametrize(
    "text",
    [
        f"store: {{url: 'postgresql://u:{SECRET}@h/db'}}",
        f"store: {{url: 'postgresql://h/db?user=u&password={SECRET}'}}",
        f"redis: {{url: 'redis://:{SECRET}@h/0'}}",
        f"pools: {{default: {{env: {{API_TOKEN: {SECRET}}}}}}}",
    ],
)
def test_good_settings_do_not_show_it(load: Load, text: str) -> None:
    settings = load(text)
    assert SECRET in settings_to_json(settings).decode()  # it is there, and travels
    assert SECRET not in f"{settings!r} {settings} {settings.store!r} {settings.pools!r}"


@pytest.mark.parametrize(
    "text",
    [
        f"store: {{url: 'mysql://u:{SECRET}@h/db'}}",
        f"store: {{url: 'postgresql://u:a/{SECRET}@h:99999999/db'}}",
        f"store: {{url: 'postgresql://u:{SECRET}@[/db'}}",
        f"store: {{url: 'postgresql//u:{SECRET}@h/db'}}",
        f"store: {{url: 'postgresql://u:{SECRET}'}}",
        f"store: {{url: 'postgresql://{SECRET}@h'}}",
        f"store: {{url: '{SECRET}@h/db'}}",
        f"store: {{url: 'u:{SECRET}@h'}}",
        f"store: 'postgresql://u:{SECRET}@h/db'",
        f"store: {{uri: 'postgresql://u:{SECRET}@h/db'}}",
        f"database: 'postgresql://u:{SECRET}@h/db'",
        f"redis: {{url: 'http://:{SECRET}@h'}}",
        f"redis: {{url: ':{SECRET}@h'}}",
        f"http: {{api_keys: [{{name: a, sha256: {SECRET}}}]}}",
        f"http: {{api_keys: [{{name: a, key: {SECRET}}}]}}",
        f"http: {{api_keys: [{SECRET}]}}",
        f"http: {{api_keys: {SECRET}}}",
        f"pools: {{default: {{env: {{TOKEN: [{SECRET}]}}}}}}",
        f"pools: {{default: {{env: {SECRET}}}}}",
        f"pools: {{default: {{env: {{TOKEN: *{SECRET}}}}}}}",  # a token may begin with a * or a !
        f"pools: {{default: {{env: {{TOKEN: !{SECRET}}}}}}}",
        f"pools: {{default: {{env: {{TOKEN: '{SECRET}}}}}}}",
        f"pools: {{default: {{env: {{TOKEN: {SECRET}: x}}}}}}",
    ],
)
def test_wrong_settings_do_not_show_it(load: Load, text: str) -> None:
    """Nor does the traceback, which a log line may have: there the cause speaks too."""
    with pytest.raises(ConfigError) as caught:
        load(text)
    said = "".join(traceback.format_exception(caught.value)).replace(f"load({text!r})", "")
    assert SECRET not in said
    assert str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TASK_QUEUE_STORE__URL", f"mysql://u:{SECRET}@h/db"),
        ("TASK_QUEUE_HTTP__API_KEYS", f"[{{name: a, sha256: {SECRET}"),
        ("TASK_QUEUE_HTTP__API_KEYS", f"*{SECRET}"),
        ("TASK_QUEUE_POOLS__DEFAULT__ENV", f"{{TOKEN: !{SECRET}}}"),
        ("TASK_QUEUE_HTTP__PORTS", SECRET),
    ],
)
def test_wrong_variables_do_not_show_it(load: Load, variable: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(environ={variable: value})
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert variable in str(caught.value)


def test_settings_of_another_release_do_not_show_it() -> None:
    data = f'{{"pools": {{"default": {{}}}}, "database": "postgresql://u:{SECRET}@h/db"}}'.encode()
    with pytest.raises(ConfigError) as caught:
        settings_from_json(data)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_plain_mistake_is_still_shown(load: Load) -> None:
    with pytest.raises(ConfigError, match=r"'sqlite://queue\.db': give sqlite:///"):
        load("store: {url: 'sqlite://queue.db'}")
    with pytest.raises(ConfigError, match=r"mysql://\*\*\*@h/db"):
        load("store: {url: 'mysql://u:p@h/db'}")


def test_the_model_itself_does_not_show_it() -> None:
    with pytest.raises(ValueError) as caught:
        Settings.model_validate({"store": {"url": f"mysql://u:{SECRET}@h/db"}})
    assert SECRET not in str(caught.value)
