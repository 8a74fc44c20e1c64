"""What the file may look like, how all problems are told at once, and the way to the actors."""

from pathlib import Path
from typing import Any

import pytest

from task_queue.errors import ConfigError
from task_queue.settings import Settings, load_settings, settings_from_json, settings_to_json


def test_all_problems_are_listed_each_with_its_line(complaints: Any) -> None:
    text = "http:\n  port: 0\n  prot: 1\nlogging: {level: loud}\npools:\n  a:\n    slot: 2\n"
    assert complaints(text) == [
        "s.yaml:2: http.port: 0: give 1 or more",
        "s.yaml:3: http.prot: unknown; did you mean 'port'?",
        "s.yaml:7: pools.a.slot: unknown; did you mean 'slots'?",
        "s.yaml:4: logging.level: 'loud': give 'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL'",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("htttp: {}", "htttp: unknown; did you mean 'http'?"),
        (
            "'[key]': {}",
            "[key]: unknown; known here: store, redis, http, limits, leases, retention, ray, "
            "pools, autoscaler, logging, tracing, monitoring",
        ),
        ("ray: {adress: auto}", "ray.adress: unknown; did you mean 'address'?"),
        (
            "logging: {colour: x}",
            "logging.colour: unknown; known here: level, format, task_lines_per_second",
        ),
        (
            "http: {api_keys: [{nam: a, name: b, sha256: '" + "0" * 64 + "'}]}",
            "http.api_keys[0].nam: unknown; did you mean 'name'?",
        ),
    ],
)
def test_unknown_key_names_the_nearest(complaints: Any, text: str, expected: str) -> None:
    assert complaints(text) == [f"s.yaml:1: {expected}"]


def test_pools_are_needed(complaints: Any) -> None:
    assert complaints("\nhttp: {}  # no pools") == ["s.yaml:2: pools: is missing"]
    assert complaints("# an empty file: no pools") == ["s.yaml: pools: is missing"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http: [", "not YAML: line "),
        ("http: &a {}\nray: *a", r"line 2: aliases \(\*\) are not supported: .* in quotes"),
        ("http: {port: !!int '1'}", r"line 1: tags \(!\) are not supported: .* in quotes"),
        ("a: !!python/object:os.system x", r"tags \(!\) are not supported"),
        ("- 1", "is not a mapping"),
        ("just text", "is not a mapping"),
        ("a: 1\n---\nb: 2", "not YAML: .*single document"),
        ("\x00", "not YAML"),
        ("[" * 20_000, "nested too deeply"),
    ],
)
def test_what_is_no_settings_file(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=expected) as caught:
        load_settings(path, {})
    assert str(caught.value).startswith(f"{path}: ")


def test_deep_nesting_within_what_yaml_reads(complaints: Any) -> None:
    [line, _] = complaints("http: " + "[" * 50 + "]" * 50)
    assert line == "s.yaml:1: http: is nested more than 20 deep"


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone.yaml: cannot be read: .*No such file"):
        load_settings(tmp_path / "gone.yaml", {})
    (tmp_path / "latin.yaml").write_bytes(b"http: {host: \xfc}")
    with pytest.raises(ConfigError, match=r"latin.yaml: cannot be read: .*utf-8"):
        load_settings(tmp_path / "latin.yaml", {})


def test_equal_keys_are_refused(complaints: Any) -> None:
    text = "http:\n  port: 1\n  port: 2\n"
    assert complaints(text) == ["s.yaml:2: http.port: stands twice, in lines 2 and 3"]


def test_key_that_is_no_text(complaints: Any) -> None:
    assert complaints("http: {? [a] : 1}") == [
        "s.yaml:1: http: has a key that is not text, in line 1"
    ]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("on", "on"), ("yes", "yes"), ("010", "010"), ("2026-01-25", "2026-01-25"),
        ("1:30", "1:30"), ("0x10", "0x10"), ("True", "True"), ("'null'", "null"), ("'5'", "5"),
    ],
)  # fmt: skip
def test_text_stays_text(load: Any, written: str, read: str) -> None:
    assert load(f"http: {{host: {written}}}").http.host == read


@pytest.mark.parametrize(("written", "read"), [("1_000", 1000), ("+7", 7)])
def test_whole_numbers(load: Any, written: str, read: int) -> None:
    assert load(f"http: {{max_batch_tasks: {written}}}").http.max_batch_tasks == read


@pytest.mark.parametrize(("written", "read"), [("2", 2.0), ("2.5", 2.5), ("1e3", 1000.0)])
def test_numbers(load: Any, written: str, read: float) -> None:
    assert load(f"autoscaler: {{idle_seconds: {written}}}").autoscaler.idle_seconds == read


def test_number_of_too_many_digits(complaints: Any) -> None:
    [line] = complaints(f"http: {{port: {'9' * 5000}}}")
    assert "http.port: " in line
    assert len(line) < 200


def test_empty_section_is_refused_by_name(complaints: Any) -> None:
    assert complaints("http:") == ["s.yaml:1: http: null: give a mapping"]


@pytest.fixture
def rich(load: Any, tmp_path: Path) -> Settings:
    (tmp_path / "jobs").mkdir()
    digest = "ab" * 32
    settings: Settings = load(
        f"http: {{api_keys: [{{name: a, sha256: {digest}}}], open_paths: []}}\n"
        "ray: {address: null, num_cpus: 2}\n"
        "pools:\n  a: {python_path: [jobs], env: {A: ü}, resources: {x: 0.5}, num_gpus: 1}\n"
        "  b: {queues: [q], memory_bytes: 5, recycle_after_tasks: 9}\n"
    )
    return settings


def test_json_round_trip(rich: Settings) -> None:
    assert settings_from_json(settings_to_json(rich)) == rich


def test_dict_round_trip(rich: Settings) -> None:
    assert Settings.model_validate(rich.model_dump(mode="json")) == rich


def test_actors_look_at_neither_paths_nor_environment(
    rich: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = settings_to_json(rich)
    (tmp_path / "jobs").rmdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("TASK_QUEUE_HTTP__PORT", "1")
    assert settings_from_json(data) == rich


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"pools": {"a": {}}, "x": 1}', b"\xff"])
def test_json_of_something_else(data: bytes) -> None:
    with pytest.raises(ConfigError, match="settings as JSON"):
        settings_from_json(data)
