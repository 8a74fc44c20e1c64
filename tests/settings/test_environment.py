"""TASK_QUEUE_* variables: where they lead, how their values are read, and which are refused."""

from typing import Any

import pytest

POOLS = "pools: {default: {env: {A: file}}, cpu-large: {}}\n"


def test_variable_wins_over_the_file(load: Any) -> None:
    settings = load("http: {port: 8001, host: h}", {"TASK_QUEUE_HTTP__PORT": "8002"})
    assert (settings.http.port, settings.http.host) == (8002, "h")


def test_variable_mends_what_is_wrong_in_the_file(load: Any) -> None:
    assert load("http: {port: 0}", {"TASK_QUEUE_HTTP__PORT": "8002"}).http.port == 8002


@pytest.mark.parametrize(
    ("variable", "text", "section", "field", "value"),
    [
        ("TASK_QUEUE_HTTP__HOST", "0.0.0.0", "http", "host", "0.0.0.0"),
        ("TASK_QUEUE_HTTP__HOST", "123", "http", "host", "123"),
        ("TASK_QUEUE_HTTP__OPEN_PATHS", "[/a, /b]", "http", "open_paths", ("/a", "/b")),
        ("TASK_QUEUE_LIMITS__CHECK_INVARIANTS", "true", "limits", "check_invariants", True),
        ("TASK_QUEUE_AUTOSCALER__IDLE_SECONDS", "2", "autoscaler", "idle_seconds", 2.0),
        ("TASK_QUEUE_RAY__ADDRESS", "auto", "ray", "address", "auto"),
        ("TASK_QUEUE_RAY__ADDRESS", "null", "ray", "address", None),
        ("TASK_QUEUE_RAY__NUM_CPUS", "null", "ray", "num_cpus", None),
        ("TASK_QUEUE_LOGGING__LEVEL", "DEBUG", "logging", "level", "DEBUG"),
        ("TASK_QUEUE_STORE__URL", "memory:", "store", "url", "memory:"),
    ],
)
def test_values(
    load: Any, variable: str, text: str, section: str, field: str, value: object
) -> None:
    settings = load("ray: {num_cpus: null}", {variable: text})
    assert getattr(getattr(settings, section), field) == value


def test_tracing_has_the_names_of_the_guide(load: Any) -> None:
    guide = {
        "TRACING_ENABLED": "true",
        "TRACING_ENDPOINT": "http://jaeger:4318",
        "TRACING_SAMPLE_RATE": "0.25",
    }
    tracing = load("tracing: {enabled: false, sample_rate: 1}", guide).tracing
    assert (tracing.enabled, tracing.endpoint, tracing.sample_rate) == (
        True, "http://jaeger:4318", 0.25,
    )  # fmt: skip


def test_one_key_set_by_two_variables_is_refused(complaints: Any) -> None:
    both = {"TRACING_ENABLED": "true", "TASK_QUEUE_TRACING__ENABLED": "false"}
    [line] = complaints("", both)
    assert line == (
        "TRACING_ENABLED: TASK_QUEUE_TRACING__ENABLED sets the same: leave one of them out"
    )


def test_a_wrong_value_of_the_guides_variable_is_told_under_its_name(complaints: Any) -> None:
    [line] = complaints("", {"TRACING_SAMPLE_RATE": "2"})
    assert line == "TRACING_SAMPLE_RATE: tracing.sample_rate: 2: give 1 or less"


def test_pools(load: Any) -> None:
    settings = load(
        POOLS,
        {
            "TASK_QUEUE_POOLS__DEFAULT__SLOTS": "5",
            "TASK_QUEUE_POOLS__CPU_LARGE__NUM_CPUS": "4",
            "TASK_QUEUE_POOLS__DEFAULT__ENV__Mixed__Case": "1",
            "TASK_QUEUE_POOLS__DEFAULT__RESOURCES__a100": "2",
            "TASK_QUEUE_POOLS__CPU_LARGE__ENV": "{B: b}",
            "TASK_QUEUE_POOLS__CPU_LARGE__ENV__C": "c",
        },
    )
    default, large = settings.pools["default"], settings.pools["cpu-large"]
    assert (default.slots, large.num_cpus) == (5, 4.0)
    assert default.env == {"A": "file", "Mixed__Case": "1"}
    assert default.resources == {"a100": 2.0}
    assert large.env == {"B": "b", "C": "c"}


def test_api_keys_as_a_whole(load: Any) -> None:
    value = f"[{{name: a, sha256: {'ab' * 32}}}]"
    assert load("", {"TASK_QUEUE_HTTP__API_KEYS": value}).http.api_keys[0].name == "a"


def test_others_are_left_alone(load: Any) -> None:
    environ = {
        "TASK_QUEUE_URL": "http://elsewhere",
        "TASK_QUEUE_API_KEY": "secret",
        "TASK_QUEUES": "x",
        "PATH": "/bin",
    }
    assert load("", environ) == load()


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("HTTP__PROT", "1", "'prot' is unknown; did you mean 'port'?"),
        ("HTPP__PORT", "1", "'htpp' is unknown; did you mean 'http'?"),
        ("HTTP_PORT", "1", "'http_port' is unknown; "),
        ("ZZZ", "1", "'zzz' is unknown; known here: store, redis, http"),
        ("HTTP", "{}", "names a section, not a value"),
        ("HTTP__", "1", "names a section, not a value"),
        ("", "1", "names a section, not a value"),
        ("POOLS", "{}", "names a section, not a value"),
        ("POOLS__DEFAULT", "{}", "names a section, not a value"),
        ("POOLS__DEFALT__SLOTS", "1", "'defalt' is unknown; did you mean 'default'?"),
        ("POOLS__DEFAULT__SLOT", "1", "'slot' is unknown; did you mean 'slots'?"),
        ("HTTP__PORT__X", "1", "'http.port' has no keys: end the name there"),
        ("HTTP__API_KEYS__0__NAME", "x", "'http.api_keys' has no keys"),
        ("HTTP__OPEN_PATHS", "[/a", "not YAML: line 1"),
        ("HTTP__OPEN_PATHS", "{/a: 1, /a: 2}", "stands twice"),
        ("HTTP__PORT", "80x", "http.port: '80x': give a whole number"),
        ("HTTP__PORT", "", "http.port: null: give a whole number"),
        ("HTTP__PORT", "99999", "http.port: 99999: give 65535 or less"),
        ("LOGGING__LEVEL", "loud", "logging.level: 'loud': give 'DEBUG'"),
    ],
)
def test_refused(complaints: Any, variable: str, value: str, expected: str) -> None:
    lines = complaints(POOLS, {f"TASK_QUEUE_{variable}": value})
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"TASK_QUEUE_{variable}: {expected}"), lines[0]


def test_pool_cannot_be_added(complaints: Any) -> None:
    lines = complaints("pools: {}", {"TASK_QUEUE_POOLS__NEW__SLOTS": "1"})
    assert lines[0].endswith("'new' is not in the file: a variable cannot add it")


def test_file_and_environment_are_told_together(complaints: Any) -> None:
    environ = {"TASK_QUEUE_NO": "1", "TASK_QUEUE_RAY__GCS_PORT": "0"}
    assert [line.partition(": ")[0] for line in complaints("http: {port: 0}", environ)] == [
        "TASK_QUEUE_NO", "s.yaml:1", "TASK_QUEUE_RAY__GCS_PORT",
    ]  # fmt: skip


def test_section_that_is_no_mapping_in_the_file(complaints: Any) -> None:
    lines = complaints("http: 5", {"TASK_QUEUE_HTTP__PORT": "1"})
    assert lines == [
        "TASK_QUEUE_HTTP__PORT: cannot be set: 'http' is not a mapping in the file",
        "s.yaml:1: http: 5: give a mapping",
    ]


def test_section_that_is_empty_in_the_file(load: Any) -> None:
    assert load("http:", {"TASK_QUEUE_HTTP__PORT": "1"}).http.port == 1
