"""What every benchmark prints: where it ran, with which versions, and its figures."""

import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(".task-queue/benchmarks")
_PACKAGES = ("ray", "apsw", "msgspec", "httpx", "fastapi")


def machine() -> dict[str, str]:
    """The machine and the versions that a figure belongs to."""
    facts = {
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
    return facts | {package: version(package) for package in _PACKAGES}


def report(name: str, figures: dict[str, Any], seed: int | None = None) -> None:
    """Print the figures of benchmark `name` and write them to .task-queue/benchmarks/NAME.json."""
    facts = machine()
    print(f"# {name}")
    print("# " + ", ".join(f"{key} {value}" for key, value in facts.items()))
    if seed is not None:
        print(f"# seed {seed}")
    width = max(map(len, figures))
    for key, value in figures.items():
        shown = f"{value:,.2f}" if isinstance(value, float) else value
        print(f"{key:<{width}} {shown:>14}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    document = {"machine": facts, "seed": seed, "figures": figures}
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(document, indent=2) + "\n")
    print(f"# written to {path}\n", file=sys.stderr)


def spread(values: Sequence[float], unit: str, scale: float = 1.0) -> dict[str, float]:
    """Median, 95th and 99th percentile and maximum, scaled to `unit`."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {
        f"p50 {unit}": cuts[49] * scale,
        f"p95 {unit}": cuts[94] * scale,
        f"p99 {unit}": cuts[98] * scale,
        f"max {unit}": max(values) * scale,
    }


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
