"""The series that a server tells."""

from regraft.api.live_metrics import FIGURES
from regraft.serving.metrics import FAMILIES


def told() -> set[str]:
    """The names of all series of `/metrics`."""
    series = set(FIGURES)
    for name, family in FAMILIES.items():
        ends = ("bucket", "sum", "count") if family.bounds else ("total",)
        series |= {f"{name}_{end}" for end in ends}
    return series
