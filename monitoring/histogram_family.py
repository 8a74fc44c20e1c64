"""Our histograms as Prometheus families, exemplars included."""

from collections.abc import Mapping

from prometheus_client.core import Exemplar, HistogramMetricFamily, Metric

from task_queue.histogram import LATENCY_BOUNDS, Histogram

_Bucket = tuple[str, float] | tuple[str, float, Exemplar]


def histogram_family(
    name: str, text: str, label: str, histograms: Mapping[str, Histogram]
) -> Metric:
    """One family; `histograms` by the value of `label`, or "" for one without labels."""
    family = HistogramMetricFamily(name, text, labels=(label,) if label else ())
    for value, histogram in sorted(histograms.items()):
        labels = (value,) if label else ()
        family.add_metric(labels, _cumulative(histogram), histogram.total)
    return family


def _cumulative(histogram: Histogram) -> list[_Bucket]:
    bounds = [*(str(bound) for bound in LATENCY_BOUNDS), "+Inf"]
    buckets: list[_Bucket] = []
    so_far = 0
    for index, (bound, count) in enumerate(zip(bounds, histogram.counts, strict=True)):
        so_far += count
        seen = histogram.exemplars.get(index)
        if seen is None:
            buckets.append((bound, float(so_far)))
        else:
            exemplar = Exemplar({"trace_id": seen.trace_id}, seen.value, seen.at)
            buckets.append((bound, float(so_far), exemplar))
    return buckets
