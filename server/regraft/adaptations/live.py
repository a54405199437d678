"""How the versions of an endpoint do while they answer, beside how they did when judged."""

import json
from typing import Any

from scipy.stats import chi2_contingency

from regraft.domain import JSON
from regraft.evaluation.intervals import share
from regraft.registry.feedback import Live
from regraft.registry.store import Registry
from regraft.serving.profile import Profile
from regraft.serving.statistics import INPUTS, TRIAL, Statistics, recent

LEAST_FOR_DRIFT = 50
Counts = dict[str, dict[int, JSON]]


def describe_live(registry: Registry, name: str, counted: Counts | None = None) -> list[JSON]:
    """A record for each version that there is and of which something was seen, the newest first;
    `counted` is what `count` told, if it was asked.

    `accuracy` is the share of right answers among those whose true label came back, with its 95 %
    interval; `drift` how far the labels it predicts are from those it predicted of the test part:
    half the sum of the differences of their shares, 0 to 1, and how probable it is by chance (χ²).
    `inputs` is the same of the rows themselves, of today's and yesterday's: of the figures that its
    profile takes of a row, the one that is farthest, and how probable that is among so many
    (Bonferroni).
    """
    live = {found.version: found for found in registry.feedback.live(name)}
    counts = (count(registry) if counted is None else counted).get(name, {})
    there = {one.version for one in registry.models.versions(name)}
    versions = sorted(there & (live.keys() | counts.keys()), reverse=True)
    return [
        {
            "version": v,
            **_counted(counts.get(v)),
            **_judged(registry, name, live.get(v), v),
            "inputs": _input_drift(registry, name, v, counts.get(v)),
        }
        for v in versions
    ]


def count(registry: Registry) -> Counts:
    """What all replicas counted, by endpoint and version."""
    found: Counts = {}
    for (name, version), row in Statistics(registry.home.statistics).summed().items():
        found.setdefault(name, {})[int(version)] = row
    return found


def _counted(row: JSON | None) -> JSON:
    """Of requests since the server started."""
    if row is None:
        return {"requests": 0, "faults": 0, "mean_seconds": None, "shadow": None}
    success, failed, trial = *(row["inference_stats"][k] for k in ("success", "fail")), row[TRIAL]
    copies = trial["copies"]
    shadow = {
        "copies": copies["count"],
        "failed": trial["failed"],
        "agreement": trial["agreed"] / trial["compared"] if trial["compared"] else None,
        "mean_seconds": copies["ns"] / 1e9 / copies["count"] if copies["count"] else None,
    }
    return {
        "requests": success["count"] + failed["count"],
        "faults": trial["faults"],
        "mean_seconds": success["ns"] / 1e9 / success["count"] if success["count"] else None,
        "shadow": shadow if copies["count"] else None,
    }


def _judged(registry: Registry, name: str, live: Live | None, version: int) -> JSON:
    if live is None:
        return {"judged": 0, "accuracy": None, "predicted": {}, "drift": None}
    accuracy = share(live.right, live.judged).as_dict() if live.judged else None
    tested = _tested(registry, name, version)
    return {
        "judged": live.judged,
        "accuracy": accuracy,
        "predicted": live.predicted,
        "drift": drift(live.predicted, tested) if tested else None,
    }


def _input_drift(registry: Registry, name: str, version: int, row: JSON | None) -> JSON | None:
    """Of the rows that were looked at today and yesterday."""
    profile = _manifest(registry, name, version).get("profile")
    now = recent(row[INPUTS]) if row else []
    if profile is None or not now:
        return None
    then = Profile.load(registry.blobs.read(profile["sha256"])).counts.tolist()
    found = [drift(_by_bin(one), _by_bin(other)) for one, other in zip(now, then, strict=True)]
    known = [each for each in found if each is not None]
    if not known:
        return None
    farthest: JSON = max(known, key=lambda each: float(each["distance"]))
    return {**farthest, "p": min(1.0, farthest["p"] * len(known))}


def _by_bin(counts: list[int]) -> dict[str, int]:
    return {str(number): count for number, count in enumerate(counts)}


def _manifest(registry: Registry, name: str, version: int) -> JSON:
    manifest = registry.models.version(name, version).manifest
    content: JSON = json.loads(registry.blobs.read(manifest.sha256))
    return content


def _tested(registry: Registry, name: str, version: int) -> dict[str, int] | None:
    """How often each label was predicted of the test part, where labels are classes."""
    content = _manifest(registry, name, version)
    report: dict[str, Any] = json.loads(registry.blobs.read(content["report"]["sha256"]))
    confusion = report.get("metrics", {}).get("confusion")
    if confusion is None:
        return None
    return dict(zip(content["labels"], map(sum, zip(*confusion, strict=True)), strict=True))


def drift(predicted: dict[str, int], tested: dict[str, int]) -> JSON | None:
    """The distance of two counts by label, and its probability by chance; None of few."""
    seen = (counts.keys() for counts in (predicted, tested))
    labels = sorted(one for one in set().union(*seen) if predicted.get(one) or tested.get(one))
    rows = [[counts.get(label, 0) for label in labels] for counts in (predicted, tested)]
    now, then = map(sum, rows)
    if min(now, then) < LEAST_FOR_DRIFT or len(labels) < 2:
        return None
    pairs = zip(*rows, strict=True)
    distance = sum(abs(one / now - other / then) for one, other in pairs) / 2
    return {"distance": distance, "p": float(chi2_contingency(rows).pvalue)}
