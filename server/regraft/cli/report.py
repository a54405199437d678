"""A version's figures for people."""

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from regraft.cli.output import stdout

SHOWN_CLASSES = 20
SHOWN_SOURCES = 5


AGAINST = {
    "simple": "the simple baseline",
    "scratch": "the same architecture from scratch",
    "probe": "a linear probe on the frozen source model",
}
NAMES = {
    "majority": "majority baseline",
    "simple": "simple baseline",
    "scratch": "same architecture from scratch",
    "probe": "linear probe, frozen",
}


def headline(result: dict[str, Any]) -> str:
    """The one sentence that says whether it was worth it."""
    metric = result["primary_metric"]
    gains = [_gain(gain) for gain in (result["gain"], result["gain_scratch"]) if gain]
    compared = " and ".join(gains) or "compared with no baseline"
    return (
        f"{result['name']} version {result['version']}: {metric} "
        f"{result['metrics']['primary']:.3f}, {compared}: "
        f"{result['verdict']} transfer"
    )


def _gain(gain: dict[str, Any]) -> str:
    value, low, high = (100 * gain[key] for key in ("value", "low", "high"))
    against = AGAINST[gain["against"]]
    return f"{value:+.1f} points over {against} (95 % interval {low:+.1f} to {high:+.1f})"


def gain_over_probe(report: dict[str, Any]) -> dict[str, Any] | None:
    """None where there is no such baseline, or it is the version itself."""
    itself = report["lineage"]["strategy"]["name"] == "linear-probe"
    return None if itself else report["gain_probe"]


def print_result(result: dict[str, Any]) -> None:
    """What `adapt` ends with."""
    console, metric = stdout(), result["primary_metric"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("on the test part", metric):
        table.add_column(heading)
    for name, value in result["baselines"].items():
        if value is not None:
            table.add_row(NAMES[name], f"{value:.3f}")
    table.add_row(f"{result['strategy']} on {result['source']}", f"{result['metrics'][metric]:.3f}")
    console.print(table)
    console.print(headline(result), soft_wrap=True)
    if result["candidates"] > 1:
        console.print(
            f"feature: {result['feature']}, by cross-validation the best of {result['candidates']}"
        )
    rows = ", ".join(f"{count} {part}" for part, count in result["rows"].items())
    console.print(f"rows: {rows}; {result['seconds']['total']:.1f} s in all")
    for note in result.get("notes", ()):  # of an older server there are none
        console.print(f"note: {note}", soft_wrap=True, highlight=False)
    if result["endpoint"]:
        console.print(f"endpoint: {result['endpoint']}")
    elif result["held_back"]:
        console.print(
            f"endpoint: left as it is, because transfer made it worse; "
            f"`regraft endpoints promote {result['name']} {result['version']} --force` moves it",
            soft_wrap=True,
        )


def print_version(version: dict[str, Any]) -> None:
    """What `models show` and `models report` print."""
    console, report = stdout(), version["report"]
    console.print(headline(version), soft_wrap=True)
    for line in _told(version):
        console.print(line, soft_wrap=True, highlight=False)
    if "per_class" in report["metrics"]:
        console.print(_classes(report))
        if len(report["labels"]) <= SHOWN_CLASSES:
            console.print(_confusion(report))
    origin = report["lineage"]
    console.print(
        f"{origin['strategy']['name']} on {origin['source']['reference']} "
        f"({origin['source']['feature']}), seed {origin['seed']}, "
        f"data {origin['data']['fingerprint'][:12]}, adaptation {origin['adaptation']}",
        soft_wrap=True,
    )


def _told(version: dict[str, Any]) -> Iterator[str]:
    """The report in sentences."""
    report, metric = version["report"], version["primary_metric"]
    known = {NAMES[n]: value for n, value in version["baselines"].items() if value is not None}
    yield f"{metric}: " + ", ".join(f"{name} {value:.3f}" for name, value in known.items())
    yield f"loss: {report['metrics']['loss']:.3f}"
    over_probe = gain_over_probe(report)
    if over_probe is not None:
        shown = "" if over_probe["low"] > 0 else ": a probe alone may be as good"
        yield _gain(over_probe) + shown
    if report["calibration"]:
        yield (
            "calibration error {ece_before:.3f}, after a temperature of {temperature:.2f} {ece:.3f}"
        ).format(**report["calibration"])
    for point in report["learning_curve"] or ():
        known_point = point["primary"] is not None
        told = f"{metric} {point['primary']:.3f}" if known_point else point["reason"]
        yield f"with {point['rows']:,} training rows: {told}"
    if report["precision"]:
        yield _precision(report["precision"], metric)
    if report["speed"]:
        yield _speed(report["speed"], metric, over_probe)
    if report["forgetting"]:
        before, after = (report["forgetting"][name] for name in ("before", "after"))
        yield (
            f"on the source domain: {metric} {before['primary']:.3f} before, "
            f"{after['primary']:.3f} now; loss {before['loss']:.3f} and {after['loss']:.3f}"
        )
    if report["ranking"]:
        yield from _ranked(report["ranking"])
    for one in report["tried"]:
        score = one["reason"]
        if one["score"] is not None:
            score = f"{one['score']:.3f} (loss {_loss(one)})"
        taken = ", taken" if one["taken"] else ""
        taken += ", then learnt from all labels" if one.get("all_labels") else ""
        yield f"tried {one['strategy']}: {score} on validation, {one['seconds']:.1f} s{taken}"
    for finding in report["findings"]:
        yield f"data: {finding['text']}"
    for note in report["notes"]:
        yield f"note: {note}"
    for name, reason in report["missing"].items():
        yield f"no {NAMES.get(name, name.replace('_', ' '))}: {reason}"


def _ranked(found: dict[str, Any]) -> Iterator[str]:
    """How the source model was chosen."""
    for one in found["ranking"][:SHOWN_SOURCES]:
        yield f"ranked {one['source']} ({one['feature']}): mean rank {one['rank']:.2f}"
    for source, reason in found["refused"].items():
        yield f"not ranked {source}: {reason}"
    yield guess(found)


def guess(found: dict[str, Any]) -> str:
    """What a ranking is, and what it took."""
    costs = ", ".join(f"{name} {value:.1f} s" for name, value in found["seconds"].items())
    return (
        f"A guess from the frozen features of {found['rows']:,} rows, not a result: adapt the "
        f"first few and compare. It took {costs}."
    )


def _precision(found: dict[str, Any], metric: str) -> str:
    """Whether the backbone is served in less precision, and why or why not."""
    name = found["precision"]
    if not found["taken"]:
        return f"{name}: not served, because {found['reason']}"
    scores = found["compared"]
    return (
        f"{name}: served, {found['ratio']:.2f} times as fast; {metric} of {scores['rows']:,} "
        f"training and validation rows {scores[name]:.3f}, in fp32 {scores['fp32']:.3f}"
    )


def _loss(one: dict[str, Any]) -> str:
    """With the margin by which it must be the least, if there is one."""
    margin = one.get("margin")
    return f"{one['loss']:.3f} ± {margin:.3f}" if margin else f"{one['loss']:.3f}"


def _speed(found: dict[str, Any], metric: str, over_probe: dict[str, Any] | None) -> str:
    """By how much a smaller model is faster, and at what loss: beside the whole model that it
    learnt from, or where there is none beside a probe on the whole source model."""
    text = "{ratio:.2f} times as fast as the source model, {size_ratio:.2f} of its size".format(
        **found
    )
    scores = found.get("validation")
    if scores is None:
        return text if over_probe is None else f"{text}; {_gain(over_probe)}"
    return (
        f"{text}; {metric} on validation {scores['now']:.3f}, of the whole model that it learnt "
        f"from {scores['before']:.3f}"
    )


def _classes(report: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    rows = report["metrics"]["per_class"][:SHOWN_CLASSES]
    more = [name for name in ("sensitivity", "specificity", "roc_auc") if name in rows[0]]
    for heading in ("label", "precision", "recall", "f1", *more, "support"):
        table.add_column(heading)
    for row in rows:
        known = ("precision", "recall", "f1", *more)
        shares = ("-" if row[key] is None else f"{row[key]:.3f}" for key in known)
        table.add_row(row["label"], *shares, str(row["support"]))
    return table


def _confusion(report: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", title="true \\ predicted")
    table.add_column("")
    for label in report["labels"]:
        table.add_column(label)
    for label, row in zip(report["labels"], report["metrics"]["confusion"], strict=True):
        table.add_row(label, *map(str, row))
    return table
