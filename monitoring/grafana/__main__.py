"""Writes the JSON of every dashboard into dashboards/, which Grafana reads."""

from monitoring.grafana.files import FOLDER, dashboard_files

for name, text in dashboard_files().items():
    (FOLDER / name).write_text(text, "utf-8")
