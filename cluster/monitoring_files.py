"""The files in monitoring/ as they have to be for one queue: its addresses, ports and secrets."""

import os
import shutil
from pathlib import Path
from typing import Any

import yaml

from cluster.api_url import api_url
from task_queue.settings import Settings

_RAY_TARGETS = "prom_metrics_service_discovery.json"


def write_monitoring_files(settings: Settings, shipped: Path, folder: Path, api_key: str) -> None:
    """Write prometheus.yml with its rules, and alertmanager.yml, into `folder`.

    Args:
        shipped: has prometheus/ and alertmanager/; secrets of Alertmanager stay beside its file.
        api_key: for the queue's API; empty if it needs none.
    """
    prometheus = _read(shipped / "prometheus" / "prometheus.yml")
    address = api_url(settings).removeprefix("http://")
    for job in prometheus["scrape_configs"]:
        _point_at(job, address, settings)
        if api_key and job["job_name"] in ("task-queue", "workers"):
            _authorize(job, folder / "api_key")
    alertmanager = f"127.0.0.1:{settings.monitoring.alertmanager_port}"
    static = [{"targets": [alertmanager]}]
    prometheus["alerting"] = {"alertmanagers": [{"static_configs": static}]}
    folder.mkdir(parents=True, exist_ok=True)
    _write_secret(folder / "api_key", api_key)
    for rules in (shipped / "prometheus").glob("*_rules.yml"):
        shutil.copy(rules, folder / rules.name)
    _write(folder / "prometheus.yml", prometheus)
    routes = shipped / "alertmanager" / "alertmanager.yml"
    _write(folder / "alertmanager.yml", _absolute(_read(routes), routes.parent.absolute()))


def missing_secrets(folder: Path) -> list[Path]:
    """Files that Alertmanager needs to tell anybody of an alert, and that are not there."""
    found: list[Path] = []
    _collect_files(_read(folder / "alertmanager.yml"), found)
    return [path for path in dict.fromkeys(found) if not path.exists()]


def _point_at(job: dict[str, Any], address: str, settings: Settings) -> None:
    match job["job_name"]:
        case "task-queue":
            job["static_configs"] = [{"targets": [address]}]
        case "workers":
            (discovery,) = job["http_sd_configs"]
            discovery["url"] = f"http://{address}/api/v1/prometheus/targets"
        case "ray" if settings.ray.address is None:
            job["file_sd_configs"] = [{"files": [f"{settings.ray.temp_dir}/{_RAY_TARGETS}"]}]


def _authorize(job: dict[str, Any], key_file: Path) -> None:
    authorization = {"credentials_file": str(key_file)}
    job["authorization"] = authorization
    for discovery in job.get("http_sd_configs", ()):
        discovery["authorization"] = authorization


def _absolute(value: Any, folder: Path) -> Any:
    """The same document; paths of `*_file` that were relative to `folder` are absolute."""
    if isinstance(value, list):
        return [_absolute(item, folder) for item in value]
    if isinstance(value, dict):
        return {
            key: str(folder / item) if key.endswith("_file") else _absolute(item, folder)
            for key, item in value.items()
        }
    return value


def _collect_files(value: Any, found: list[Path]) -> None:
    if isinstance(value, list):
        for item in value:
            _collect_files(item, found)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key.endswith("_file"):
                found.append(Path(item))
            _collect_files(item, found)


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def _write(path: Path, document: Any) -> None:
    path.write_text(yaml.safe_dump(document, sort_keys=False))


def _write_secret(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
