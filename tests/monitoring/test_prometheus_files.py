"""The rules, alerts and routes in monitoring/, checked by Prometheus' and Alertmanager's own tools.

What each alert needs to fire, and to stay silent, is in rules/*.test.yml, which promtool runs.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
_PROMETHEUS = _ROOT / "monitoring" / "prometheus"
_ALERTMANAGER = _ROOT / "monitoring" / "alertmanager" / "alertmanager.yml"
_RULE_TESTS = sorted((_HERE / "rules").glob("*.test.yml"))


def _run(tool: str, *arguments: str | Path) -> str:
    """What the tool says. It has to end well."""
    program = shutil.which(tool)
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{tool} is not installed, and CI has to have it")
        pytest.skip(f"{tool} is not installed")
    done = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _alerts() -> dict[str, dict[str, dict[str, str]]]:
    files = [yaml.safe_load(path.read_text()) for path in _PROMETHEUS.glob("*_rules.yml")]
    rules = [rule for file in files for group in file["groups"] for rule in group["rules"]]
    return {rule["alert"]: rule for rule in rules if "alert" in rule}


def test_prometheus_accepts_its_files() -> None:
    _run("promtool", "check", "config", _PROMETHEUS / "prometheus.yml")


@pytest.mark.parametrize("path", _RULE_TESTS, ids=lambda path: path.name)
def test_rules_and_alerts_do_what_their_cases_say(path: Path) -> None:
    _run("promtool", "test", "rules", path)


def test_every_alert_has_a_case_that_fires_and_one_that_is_silent() -> None:
    fires: set[str] = set()
    silent: set[str] = set()
    for path in _RULE_TESTS:
        for case in yaml.safe_load(path.read_text())["tests"]:
            for check in case.get("alert_rule_test", ()):
                (fires if check["exp_alerts"] else silent).add(check["alertname"])
    assert fires == silent == set(_alerts())


def test_every_alert_has_the_labels_of_its_route_and_a_runbook() -> None:
    text = (_ROOT / "docs" / "operations.md").read_text()
    sections = {title.lower().replace(" ", "-") for title in re.findall(r"^## (.+)$", text, re.M)}
    for name, alert in _alerts().items():
        assert alert["labels"].keys() >= {"severity", "service"}, name
        page, _, section = alert["annotations"]["runbook_url"].partition("#")
        assert (page, section in sections) == ("docs/operations.md", True), name


def test_alertmanager_accepts_its_file() -> None:
    _run("amtool", "check-config", _ALERTMANAGER)


def test_an_alert_reaches_slack_and_the_webhook() -> None:
    told = _run(
        "amtool", "config", "routes", "test", f"--config.file={_ALERTMANAGER}",
        "severity=critical", "service=workers",
    )  # fmt: skip
    assert told.strip() == "webhook,slack"
