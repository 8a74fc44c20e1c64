"""Every rule about a value: one text that breaks it, and the one line that comes of it."""

import re
from pathlib import Path
from typing import Any

import pytest

from task_queue.core.settings import Rules
from task_queue.settings import Settings
from tests.settings.conftest import Load

ZEROS = "0" * 64

REFUSED = [
    # store
    ("store: {url: 'postgresql://u@h'}", "store.url: .*give postgresql://user:password@host"),
    ("store: {url: 'postgresql+x://h/d'}", "store.url: .*give postgresql://user:password@host"),
    ("store: {url: 'postgresql://h:x/d'}", "store.url: .*give postgresql://user:password@host"),
    ("store: {url: mysql://db}", "store.url: 'mysql://db': give sqlite:///"),
    ("store: {url: 'sqlite:///'}", "store.url: .*give sqlite:///path"),
    ("store: {url: 'sqlite:///folder/'}", "store.url: .*give sqlite:///path"),
    ("store: {url: 'sqlite://queue.db'}", "store.url: .*give sqlite:///path"),
    ("store: {url: 5}", "store.url: 5: give text"),
    # redis
    ("redis: {url: 'localhost:6379'}", "redis.url: .*give redis://:password@host:port/0"),
    ("redis: {url: 'redis://'}", "redis.url: .*give redis://:password@host:port/0"),
    ("redis: {url: 'redis://h:x/0'}", "redis.url: .*give redis://:password@host:port/0"),
    ("redis: {url: 'redis://h/queue'}", "redis.url: .*give redis://:password@host:port/0"),
    # tracing
    ("tracing: {enabled: 1}", "tracing.enabled: 1: give true or false"),
    ("tracing: {endpoint: 'localhost:4318'}", "tracing.endpoint: .*give http://host:4318"),
    ("tracing: {endpoint: 'http://h/v1/traces'}", "tracing.endpoint: .*without /v1/traces"),
    (
        "tracing: {endpoint: 'http://me:hunter2@h'}",
        r"tracing.endpoint: 'http://\*\*\*@h': .*a password",
    ),
    ("tracing: {endpoint: 'http://h:x'}", "tracing.endpoint: .*give http://host:4318"),
    ("tracing: {sample_rate: 1.1}", "tracing.sample_rate: 1.1: give 1 or less"),
    ("tracing: {sample_rate: -1}", "tracing.sample_rate: -1: give 0 or more"),
    ("tracing: {tasks_per_second: -1}", "tracing.tasks_per_second: -1: give 0 or more"),
    # http
    ("http: {port: 0}", "http.port: 0: give 1 or more"),
    ("http: {port: 65536}", "http.port: 65536: give 65535 or less"),
    ("http: {port: '8000'}", "http.port: '8000': give a whole number"),
    ("http: {port: 8000.0}", "http.port: 8000.0: give a whole number"),
    ("http: {port: true}", "http.port: true: give a whole number"),
    ("http: {port: null}", "http.port: null: give a whole number"),
    ("http: {host: ''}", "http.host: '': give text that is not empty"),
    ("http: {open_paths: [health]}", "http.open_paths: 'health' is not a path: begin it with /"),
    ("http: {open_paths: /health}", "http.open_paths: '/health': give a list"),
    ("http: {open_paths: [5]}", r"http.open_paths\[0\]: 5: give text"),
    ("http: {max_body_bytes: 0}", "http.max_body_bytes: 0: give 1 or more"),
    ("http: {max_batch_tasks: 0}", "http.max_batch_tasks: 0: give 1 or more"),
    ("http: {num_replicas: 0}", "http.num_replicas: 0: give 1 or more"),
    ("http: {api_keys: [{name: a}]}", r"http.api_keys\[0\].sha256: is missing"),
    (
        f"http: {{api_keys: [{{name: a, sha256: '{ZEROS}'}}, {{name: a, sha256: '{ZEROS}'}}]}}",
        "http.api_keys: two keys are called 'a'",
    ),
    # limits, leases, retention
    ("limits: {max_queue_length: 0}", "limits.max_queue_length: 0: give 1 or more"),
    ("limits: {max_deaths: 0}", "limits.max_deaths: 0: give 1 or more"),
    ("limits: {check_invariants: 1}", "limits.check_invariants: 1: give true or false"),
    ("limits: {check_invariants: on}", "limits.check_invariants: 'on': give true or false"),
    ("limits: {max_argument_bytes: 0}", "limits.max_argument_bytes: 0: give 1 or more"),
    ("limits: {max_result_bytes: 0}", "limits.max_result_bytes: 0: give 1 or more"),
    ("limits: {max_delay_seconds: 1e9}", "limits.max_delay_seconds: .*give 315360000 or less"),
    ("leases: {lease_seconds: 9.9}", r"leases.lease_seconds: 9.9 is less than twice poll_seconds"),
    ("leases: {poll_seconds: 7.6}", r"leases.lease_seconds: 15.0 is less than twice poll_seconds"),
    ("leases: {poll_seconds: 0}", "leases.poll_seconds: 0: give a number above 0"),
    ("leases: {lease_seconds: 1e999}", "leases.lease_seconds: Infinity: give a finite number"),
    ("leases: {lease_seconds: .inf}", "leases.lease_seconds: '.inf': give a number"),
    ("retention: {finished_seconds: 0}", "retention.finished_seconds: 0: give a number above 0"),
    ("retention: {finished_seconds: 7d}", "retention.finished_seconds: '7d': give a number"),
    ("retention: {prune_interval_seconds: 0}", "retention.prune_interval_seconds: 0: give"),
    ("retention: {logs_cap_bytes: 0}", "retention.logs_cap_bytes: 0: give 1 or more"),
    # ray
    ("ray: {address: localhost}", "ray.address: 'localhost': give null .*'auto' or 'host:port'"),
    ("ray: {address: 'h:65536'}", "ray.address: 'h:65536': give null"),
    ("ray: {address: 'ray://h:10001'}", "ray.address: 'ray://h:10001': give null"),
    ("ray: {num_cpus: -1}", "ray.num_cpus: -1: give 0 or more"),
    ("ray: {num_cpus: 2, address: auto}", "ray.num_cpus: 2 is for a head that is started here"),
    ("ray: {temp_dir: ray}", "ray.temp_dir: 'ray': give an absolute path"),
    (f"ray: {{temp_dir: /{'x' * 59}}}", "ray.temp_dir: .*has 60 bytes: .*fewer than 60"),
    (f"ray: {{temp_dir: /{'ü' * 30}}}", "ray.temp_dir: .*has 61 bytes"),
    ("ray: {gcs_port: 0}", "ray.gcs_port: 0: give 1 or more"),
    ("ray: {gcs_port: 8000}", "ray.gcs_port: 8000 is also http.port"),
    ("ray: {dashboard_port: 8000}", "ray.dashboard_port: 8000 is also http.port"),
    ("ray: {dashboard_port: 6389}", "ray.dashboard_port: 6389 is also ray.gcs_port"),
    ("ray: {dashboard: 'no'}", "ray.dashboard: 'no': give true or false"),
    ("ray: {object_store_memory_bytes: 1}", "ray.object_store_memory_bytes: 1: give 78643200 or"),
    ("ray: {auth_mode: none}", "ray.auth_mode: 'none': give 'token' or 'disabled'"),
    ("ray: {namespace: ''}", "ray.namespace: '': give text that is not empty"),
    ("ray: {stream_host: ''}", "ray.stream_host: '': give text that is not empty"),
    ("ray: {stream_host: 0}", "ray.stream_host: 0: give text"),
    # pools
    ("pools: {}", "pools: {}: give at least 1"),
    ("pools:", "pools: null: give a mapping"),
    ("{http: {}, 'x': 1, pools: {a: {}}}", "x: unknown"),
    ("pools: {GPU: {}}", "pools.GPU: 'GPU': name a pool with the letters a-z, digits and hyphens"),
    ("pools: {a_b: {}}", "pools.a_b: 'a_b': name a pool"),
    ("pools: {'': {}}", "name a pool"),
    ("pools: {a: {min_workers: 3}}", r"pools.a.min_workers: 3 is above max_workers \(2\)"),
    ("pools: {a: {min_workers: -1}}", "pools.a.min_workers: -1: give 0 or more"),
    ("pools: {a: {max_workers: 0}}", "pools.a.max_workers: 0: give 1 or more"),
    ("pools: {a: {slots: 0}}", "pools.a.slots: 0: give 1 or more"),
    ("pools: {a: {queues: []}}", "pools.a.queues: is empty: name a queue"),
    ("pools: {a: {queues: [x, x]}}", "pools.a.queues: lists 'x' more than once"),
    ("pools: {a: {queues: ['']}}", r"pools.a.queues\[0\]: '': give text that is not empty"),
    (f"pools: {{a: {{queues: [{'x' * 256}]}}}}", "pools.a.queues: .*at most 255 characters"),
    ("pools: {a: {queues: ['my mail']}}", "pools.a.queues: .*'my mail' cannot name a queue"),
    ("pools: {a: {queues: ['mail*']}}", "pools.a.queues: .*'mail\\*' cannot name a queue"),
    ("pools: {a: {task_modules: [a.py/]}}", "pools.a.task_modules: 'a.py/' is not the name of a"),
    ("pools: {a: {task_modules: ['a;b']}}", "pools.a.task_modules: 'a;b' is not the name of a"),
    ("pools: {a: {python_path: [gone]}}", "pools.a.python_path: 'gone' does not exist: give"),
    ("pools: {a: {num_cpus: -0.5}}", "pools.a.num_cpus: -0.5: give 0 or more"),
    ("pools: {a: {num_cpus: 1.5}}", "pools.a.num_cpus: 1.5: give a whole number, or a fraction"),
    ("pools: {a: {num_gpus: 2.5}}", "pools.a.num_gpus: 2.5: give a whole number, or a fraction"),
    ("pools: {a: {memory_bytes: 0}}", "pools.a.memory_bytes: 0: give 1 or more"),
    ("pools: {a: {resources: {GPU: 1}}}", "pools.a.resources: 'GPU' has a field .*use num_gpus"),
    ("pools: {a: {resources: {x: -1}}}", "pools.a.resources.x: -1: give 0 or more"),
    ("pools: {a: {drain_seconds: -1}}", "pools.a.drain_seconds: -1: give 0 or more"),
    ("pools: {a: {env: {A: 1}}}", r"pools.a.env.A: \(value not shown\): give text"),
    ("pools: {a: {recycle_after_tasks: 0}}", "pools.a.recycle_after_tasks: 0: give 1 or more"),
    (
        "pools: {a: {task_modules: [m]}, b: {task_modules: [n]}}",
        r"pools.b.task_modules: \['n'\] differs from that of pool 'a' \(\['m'\]\), .*queue '\*'",
    ),
    (
        "pools: {a: {queues: [p, q], task_modules: [m]}, b: {queues: [q]}}",
        "pools.b.task_modules: .*queue 'q'",
    ),
    # autoscaler, logging
    ("autoscaler: {interval_seconds: 0}", "autoscaler.interval_seconds: 0: give a number above"),
    ("autoscaler: {target_wait_seconds: 0}", "autoscaler.target_wait_seconds: 0: give a number"),
    ("autoscaler: {backlog_per_worker: 0}", "autoscaler.backlog_per_worker: 0: give 1 or more"),
    ("autoscaler: {idle_seconds: 0}", "autoscaler.idle_seconds: 0: give a number above 0"),
    ("autoscaler: {max_pending_workers: 0}", "autoscaler.max_pending_workers: 0: give 1 or more"),
    (
        "logging: {level: info}",
        "logging.level: 'info': give 'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL'",
    ),
    ("logging: {format: text}", "logging.format: 'text': give 'json' or 'console'"),
]


@pytest.mark.parametrize(("text", "expected"), REFUSED, ids=[text[:60] for text, _ in REFUSED])
def test_wrong_value_is_refused_with_its_key_and_the_cure(
    complaints: Any, text: str, expected: str
) -> None:
    lines = complaints(text)
    assert len(lines) == 1, lines
    assert re.search(rf": {expected}", lines[0]), lines[0]
    assert lines[0].startswith("s.yaml:1: ")


ALLOWED = [
    "store: {url: 'memory:'}",
    "http: {port: 1, host: '::'}",
    f"http: {{api_keys: [{{name: a, sha256: '{ZEROS}'}}]}}",
    "leases: {lease_seconds: 10, poll_seconds: 5}",
    "ray: {address: '[::1]:6379'}",
    "ray: {address: head.example:6379}",
    "ray: {stream_host: null}",
    "ray: {stream_host: 10.0.0.5}",
    f"ray: {{temp_dir: /{'x' * 58}}}",
    "ray: {address: auto, dashboard_port: 8000}",  # the head's ports are not ours then
    "ray: {dashboard: false, dashboard_port: 8000}",
    "pools: {cpu-2: {min_workers: 2, max_workers: 2}}",
    "pools: {a: {min_workers: 0, num_cpus: 0.25, num_gpus: 2, resources: {a100: 0.5}}}",
    "pools: {a: {task_modules: [m]}, b: {queues: [q], task_modules: [n.o]}}",
    "pools: {a: {task_modules: [m, n]}, b: {task_modules: [n, m]}}",
]


@pytest.mark.parametrize("text", ALLOWED)
def test_value_at_the_edge_is_allowed(load: Any, text: str) -> None:
    assert isinstance(load(text), Settings)


def test_plain_api_key_is_refused_without_being_shown(complaints: Any) -> None:
    [line] = complaints("http: {api_keys: [{name: a, sha256: hunter2}]}")
    assert "http.api_keys[0].sha256" in line
    assert "sha256sum" in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    "url",
    ["postgresql+x://me:hunter2@db/queue", "mysql://db/queue?user=me&password=hunter2&x=y"],
    ids=["before-the-host", "among-the-options"],
)
def test_password_in_a_store_url_is_not_shown(complaints: Any, url: str) -> None:
    [line] = complaints(f"store: {{url: '{url}'}}")
    assert "db/queue" in line
    assert "hunter2" not in line


def test_password_in_a_redis_url_is_not_shown(complaints: Any) -> None:
    [line] = complaints("redis: {url: 'redis://:hunter2@host/queue'}")
    assert "host/queue" in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    "url",
    ["redis://localhost", "redis://localhost:6379/", "rediss://:secret@cache.internal:6380/2"],
)
def test_a_redis_url_is_taken_as_it_is(load: Any, url: str) -> None:
    assert load(f"redis: {{url: '{url}'}}").redis.url == url


def test_defaults_are_those_of_the_core(load: Any) -> None:
    assert load().rules() == Rules()


def test_rules_follow_the_settings(load: Any) -> None:
    text = (
        "limits: {max_queue_length: 7, max_deaths: 2, max_timed_tasks: 9, "
        "max_retrying: 8, window: 3, memory_bytes: 5, max_queues: 6}\n"
        "leases: {lease_seconds: 4, poll_seconds: 1}"
    )
    assert load(text).rules() == Rules(4.0, 1.0, 2, 7, 9, 8, 3, 5, max_queues=6)


def test_paths_become_absolute(load: Any, tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    settings = load("store: {url: 'sqlite:///q.db'}\npools: {a: {python_path: [jobs]}}")
    assert settings.store.url == f"sqlite:///{tmp_path}/q.db"
    assert settings.pools["a"].python_path == (f"{tmp_path}/jobs",)


def test_default_store_is_below_the_working_directory(load: Any, tmp_path: Path) -> None:
    assert load().store.url == f"sqlite:///{tmp_path}/.task-queue/queue.db"


def test_settings_are_frozen(load: Any) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load().http.port = 1


def test_passwords_are_not_in_the_repr(load: Load) -> None:
    text = "store: {url: 'postgresql://me:MARKER@h/d'}\nredis: {url: 'redis://:MARKER@h:1/0'}"
    loaded = load(text)
    assert "MARKER" in loaded.store.url
    assert "MARKER" not in f"{loaded!r} {loaded.store!r} {loaded.redis!r} {loaded}"
