"""The metrics of all replicas, summed, in Prometheus form."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable

import httpx
import ray
from prometheus_client.parser import text_string_to_metric_families

from regraft.serving.ray_metrics import EXACT

PREFIX = "ray_regraft_"
LABELS = ("endpoint", "version", "status", "outcome", "le")

SUFFIXES = {"total", "bucket", "sum", "count"}

Series = tuple[str, tuple[tuple[str, str], ...]]


async def cluster_metrics() -> str:
    """What Ray's agent on every node knows of our replicas; an agent that does not answer is left
    out. The agents are a second or two behind."""
    nodes = [node for node in ray.nodes() if node["Alive"]]
    urls = [f"http://{n['NodeManagerAddress']}:{n['MetricsExportPort']}/metrics" for n in nodes]
    async with httpx.AsyncClient(timeout=2) as client:
        texts = await asyncio.gather(*(_fetch(client, url) for url in urls))
    return summed(texts)


async def _fetch(client: httpx.AsyncClient, url: str) -> str:
    try:
        return (await client.get(url)).raise_for_status().text
    except httpx.HTTPError:
        return ""


def summed(texts: Iterable[str]) -> str:
    """Our families of all texts with the labels of Ray's processes summed away."""
    values: dict[Series, float] = defaultdict(float)
    heads: dict[str, str] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            name = family.name.removeprefix("ray_")
            if not family.name.startswith(PREFIX):
                continue
            if EXACT not in name:
                heads[name] = _head(name, family.type, family.documentation)
            for sample in family.samples:
                kept = tuple((key, sample.labels[key]) for key in LABELS if key in sample.labels)
                values[sample.name.removeprefix("ray_"), kept] += sample.value
    _make_exact(values)
    return "\n".join([*_lines(heads, values), ""])


def _head(family: str, kind: str, documentation: str) -> str:
    """In this format, unlike in OpenMetrics, the head of a counter bears the sample's name."""
    name = f"{family}_total" if kind == "counter" else family
    return f"# HELP {name} {documentation}\n# TYPE {name} {kind}"


def _make_exact(values: dict[Series, float]) -> None:
    """Put the counted sum of a distribution in place of Ray's estimate."""
    for (name, labels), value in list(values.items()):
        family, exact, _ = name.partition(EXACT)
        if exact:
            values[f"{family}_sum", labels] = value
            del values[name, labels]


def _lines(heads: dict[str, str], values: dict[Series, float]) -> Iterable[str]:
    for family, head in sorted(heads.items()):
        yield head
        for (name, labels), value in values.items():
            if name == family or name.removeprefix(f"{family}_") in SUFFIXES:
                shown = ",".join(f'{key}="{text}"' for key, text in labels)
                yield f"{name}{{{shown}}} {value:.10g}" if shown else f"{name} {value:.10g}"
