"""Counters of the guide whose names do not end in _total."""

from collections.abc import Iterable, Mapping

from prometheus_client.core import Metric


def plain_counter(
    name: str, text: str, samples: Iterable[tuple[Mapping[str, str], float]]
) -> Metric:
    """A family of growing counts. OpenMetrics allows no such counter: there its type is unknown."""
    family = Metric(name, text, "unknown")
    for labels, value in samples:
        family.add_sample(name, dict(labels), value)
    return family


def mark_counters(text: bytes, families: Iterable[Metric]) -> bytes:
    """Call them counters in the text format, which allows that but whose encoder would rename."""
    for family in families:
        if family.type == "unknown":
            name = family.name
            text = text.replace(
                f"# TYPE {name} untyped".encode(), f"# TYPE {name} counter".encode()
            )
    return text
