"""The committed dashboards are those that the code makes, with every panel of the guide."""

import json

import pytest
import yaml

from monitoring.grafana.files import FOLDER, dashboard_files

#: The guide's dashboards and panels. It lists "System Health" as panels of "System Metrics", and
#: no panels of "Error Analysis".
_GUIDE = {
    "Task Queue Overview": {
        "Queue depth over time", "Task submission rate", "Task completion rate", "Failure rate",
        "Average processing time",
    },
    "Worker Performance": {
        "Worker utilization (%)", "Task rate by worker", "Error rate by worker", "Uptime by worker",
        "Task distribution",
    },
    "System Metrics": {
        "CPU usage", "Memory usage", "Disk I/O", "Network throughput", "Database connections",
    },
    "Error Analysis": set(),
}  # fmt: skip


def test_the_committed_files_are_those_that_the_code_makes() -> None:
    committed = {path.name: path.read_text("utf-8") for path in FOLDER.iterdir()}
    assert committed == dashboard_files(), "run `python -m monitoring.grafana`"


@pytest.mark.parametrize("title", _GUIDE)
def test_every_panel_of_the_guide_is_there(title: str) -> None:
    boards = {board["title"]: board for board in map(json.loads, dashboard_files().values())}
    assert boards.keys() == _GUIDE.keys()
    panels = boards[title]["panels"]
    assert {panel["title"] for panel in panels} >= _GUIDE[title]
    assert all(panel["targets"] for panel in panels)


def test_the_data_source_is_the_one_that_the_ray_dashboard_asks_for() -> None:
    provisioning = FOLDER.parent / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "task-queue.yml").read_text())[
        "datasources"
    ]
    assert (source["name"], source["url"]) == ("Prometheus", "$RAY_PROMETHEUS_HOST")


def test_latencies_lead_to_traces_and_nothing_else_asks_for_them() -> None:
    targets = [
        target
        for text in dashboard_files().values()
        for panel in json.loads(text)["panels"]
        for target in panel["targets"]
    ]
    asking = {target["expr"] for target in targets if target.get("exemplar")}
    assert asking == {target["expr"] for target in targets if "_bucket" in target["expr"]} != set()
    sources = FOLDER.parent / "provisioning" / "datasources" / "task-queue.yml"
    (source,) = yaml.safe_load(sources.read_text())["datasources"]
    (link,) = source["jsonData"]["exemplarTraceIdDestinations"]
    assert (link["name"], link["url"].endswith("/trace/$${__value.raw}")) == ("trace_id", True)
