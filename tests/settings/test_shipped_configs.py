"""The files in configs/ load, and configs/README.md knows every key with its default."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from task_queue.settings import ApiKey, PoolSettings, Settings, load_settings

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_local_fits_a_machine_with_two_cpus() -> None:
    settings = load_settings(CONFIGS / "local.yaml", {})
    assert settings.ray.address is None
    assert settings.http.host == "127.0.0.1"
    workers = sum(pool.max_workers * pool.num_cpus for pool in settings.pools.values())
    assert workers + settings.http.num_replicas <= (settings.ray.num_cpus or 0) == 2


def test_local_finds_its_task_modules() -> None:
    for pool in load_settings(CONFIGS / "local.yaml", {}).pools.values():
        for module in pool.task_modules:
            assert any(Path(folder, f"{module}.py").is_file() for folder in pool.python_path)


def test_production_joins_a_cluster_and_lets_nobody_in_without_a_key() -> None:
    settings = load_settings(CONFIGS / "production.yaml", {})
    assert settings.ray.address == "auto"
    assert settings.ray.auth_mode == "token"
    assert settings.http.api_keys
    assert settings.pools["gpu"].num_gpus == 1


def test_runtime_env_leaves_out_what_is_large_or_private() -> None:
    runtime_env = yaml.safe_load((CONFIGS / "runtime_env.yaml").read_text())
    assert {"/.git/", "/.venv/", "/.task-queue/"} <= set(runtime_env["excludes"])
    assert set(runtime_env) <= {"excludes", "env_vars"}
    assert all(isinstance(value, str) for value in runtime_env["env_vars"].values())


def keys(model: type[BaseModel], prefix: str) -> list[tuple[str, str]]:
    """Each key below `prefix` and its default, as the table shows them."""
    rows = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            rows += keys(field.annotation, f"{prefix}{name}.")
        elif name != "pools":
            default: Any = field.default
            shown = "required" if field.is_required() else f"`{json.dumps(default)}`"
            rows.append((f"{prefix}{name}", shown))
    return rows


ROWS = [
    *keys(Settings, ""),
    *keys(ApiKey, "http.api_keys[]."),
    *keys(PoolSettings, "pools.NAME."),
]


@pytest.mark.parametrize(("key", "default"), ROWS)
def test_readme_has_every_key_with_its_default(key: str, default: str) -> None:
    assert f"| `{key}` | {default} |" in (CONFIGS / "README.md").read_text()


def test_readme_has_no_other_keys() -> None:
    lines = (CONFIGS / "README.md").read_text().splitlines()
    listed = [line.split("`")[1] for line in lines if line.startswith("| `")]
    assert sorted(listed) == sorted(key for key, _ in ROWS)
