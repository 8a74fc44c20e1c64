"""The Grafana dashboards as code. `python -m monitoring.grafana` writes their JSON."""
