"""Live accuracy and drift of every version that was asked, in Prometheus form."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from regraft.adaptations.live import count, describe_live
from regraft.domain import JSON
from regraft.errors import UnknownNameError
from regraft.registry.store import Registry

SECONDS = 30.0
"""For how long figures are told again: they take a query or two for each endpoint."""
FIGURES = {
    "regraft_judged": ("Predictions whose true label came back.", ("judged",)),
    "regraft_live_accuracy": ("Share of right ones among those.", ("accuracy", "value")),
    "regraft_live_accuracy_low": ("Lower end of its 95 % interval.", ("accuracy", "low")),
    "regraft_live_accuracy_high": ("Upper end of its 95 % interval.", ("accuracy", "high")),
    "regraft_prediction_drift": (
        "Distance of the labels predicted lately from those of the test part, 0 to 1.",
        ("drift", "distance"),
    ),
    "regraft_input_drift": (
        "Distance of what is asked from the test part, in the figure that is farthest, 0 to 1.",
        ("inputs", "distance"),
    ),
    "regraft_shadow_agreement": (
        "Share of rows that a shadow answered as the other version did.",
        ("shadow", "agreement"),
    ),
}


@dataclass
class LiveMetrics:
    """The text of all figures, made anew when it is old."""

    registry: Registry
    clock: Callable[[], float] = time.monotonic
    made: float = float("-inf")
    known: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def text(self) -> str:
        async with self.lock:
            if self.clock() - self.made > SECONDS:
                self.known = await asyncio.to_thread(self._make)
                self.made = self.clock()
        return self.known

    def _make(self) -> str:
        names = [endpoint.name for endpoint in self.registry.models.endpoints()]
        counted = count(self.registry)
        found = {}
        for name in names:
            with contextlib.suppress(UnknownNameError):  # it was ended meanwhile
                found[name] = describe_live(self.registry, name, counted)
        return "".join(_lines(found))


def _lines(found: dict[str, list[JSON]]) -> Iterator[str]:
    for metric, (text, path) in FIGURES.items():
        series = [(name, row, _get(row, path)) for name, rows in found.items() for row in rows]
        known = [(name, row["version"], value) for name, row, value in series if value is not None]
        if known:
            yield f"# HELP {metric} {text}\n# TYPE {metric} gauge\n"
        for name, version, value in known:
            yield f'{metric}{{endpoint="{name}",version="{version}"}} {value:.6g}\n'


def _get(row: JSON, path: tuple[str, ...]) -> float | None:
    value: Any = row
    for key in path:
        value = None if value is None else value[key]
    return None if value is None else float(value)
