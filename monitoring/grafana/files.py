"""The files that Grafana reads."""

from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from monitoring.grafana.error_analysis import error_analysis
from monitoring.grafana.system_metrics import system_metrics
from monitoring.grafana.task_queue_overview import task_queue_overview
from monitoring.grafana.worker_performance import worker_performance

FOLDER = Path(__file__).parent / "dashboards"


def dashboard_files() -> dict[str, str]:
    """File name to JSON text of the four dashboards."""
    made = (task_queue_overview(), worker_performance(), system_metrics(), error_analysis())
    return {f"{each.uid}.json": f"{_ENCODER.encode(each)}\n" for each in made}


_ENCODER = JSONEncoder(sort_keys=True, indent=2)
