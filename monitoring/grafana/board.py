"""What the dashboards have in common: their data source, their size, how a panel looks."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import prometheus, timeseries
from grafana_foundation_sdk.models import dashboard as models

_TAG = "task-queue"
_WIDTH = 12  #: of a panel; Grafana's grid has 24 columns
_HEIGHT = 8
_SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")


class Board:
    """A dashboard that is put together panel by panel, two in a row."""

    def __init__(self, uid: str, title: str, description: str) -> None:
        link = builders.DashboardLink("Task queue").type(models.DashboardLinkType.DASHBOARDS)
        self._panels = 0
        self._built = (
            builders.Dashboard(title)
            .uid(uid)
            .description(description)
            .tags([_TAG])
            .timezone("browser")
            .time("now-1h", "now")
            .refresh("15s")
            .readonly()
            .tooltip(models.DashboardCursorSync.CROSSHAIR)
            .link(link.tags([_TAG]).as_dropdown(True).keep_time(True))
            .with_variable(
                builders.DatasourceVariable("datasource").label("Data source").type("prometheus")
            )
        )

    def choice(self, name: str, label: str, query: str) -> None:
        """Let the reader choose among a label's values; at first it is all of them.

        Args:
            query: what Grafana asks Prometheus for the values, `label_values(series, label)`.
        """
        everything = models.VariableOption(selected=True, text="All", value="$__all")
        self._built.with_variable(
            builders.QueryVariable(name)
            .label(label)
            .query(query)
            .datasource(_SOURCE)
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .multi(True)
            .include_all(True)
            .all_value(".*")
            .current(everything)
        )

    def panel(
        self, title: str, unit: str, series: Sequence[tuple[str, str]], description: str = ""
    ) -> None:
        """Lines over time.

        Args:
            unit: one of Grafana's, from grafana_foundation_sdk.models.units.
            series: a PromQL expression and the legend of its lines, for each query.
        """
        self._panels += 1
        panel = (
            timeseries.Panel()
            .id(self._panels)
            .title(title)
            .description(description)
            .datasource(_SOURCE)
            .unit(unit)
            .min(0)
            .fill_opacity(10)
            .span(_WIDTH)
            .height(_HEIGHT)
        )
        for number, (expression, legend) in enumerate(series):
            target = prometheus.Dataquery().ref_id(chr(ord("A") + number)).datasource(_SOURCE)
            target = target.expr(expression).legend_format(legend).range()
            if "_bucket" in expression:
                target = target.exemplar(True)  # points that lead to traces
            panel.with_target(target)
        self._built.with_panel(panel)

    def build(self) -> models.Dashboard:
        return self._built.build()
