"""A version's figures for people."""

from typing import Any

from rich.table import Table

from regraft.cli.output import stdout

SHOWN_CLASSES = 20


def headline(result: dict[str, Any]) -> str:
    """The one sentence that says whether it was worth it."""
    gain, metric = result["gain"], result["primary_metric"]
    value, low, high = (100 * gain[key] for key in ("value", "low", "high"))
    return (
        f"{result['name']} version {result['version']}: {metric} "
        f"{result['metrics']['primary']:.3f}, {value:+.1f} points against the simple baseline "
        f"(95 % interval {low:+.1f} to {high:+.1f}): {_verdict(low, high)}"
    )


def _verdict(low: float, high: float) -> str:
    if low > 0:
        return "better"
    return "worse" if high < 0 else "no difference is shown"


def print_result(result: dict[str, Any]) -> None:
    """What `adapt` ends with."""
    console, metric = stdout(), result["primary_metric"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("on the test part", metric):
        table.add_column(heading)
    for name in ("majority", "simple"):
        table.add_row(f"{name} baseline", f"{result['baselines'][name]:.3f}")
    table.add_row(f"{result['strategy']} on {result['source']}", f"{result['metrics'][metric]:.3f}")
    console.print(table)
    console.print(headline(result), soft_wrap=True)
    if result["candidates"] > 1:
        console.print(
            f"feature: {result['feature']}, by cross-validation the best of {result['candidates']}"
        )
    rows = ", ".join(f"{count} {part}" for part, count in result["rows"].items())
    console.print(f"rows: {rows}; {result['seconds']['total']:.1f} s in all")
    if result["endpoint"]:
        console.print(f"endpoint: {result['endpoint']}")


def print_version(version: dict[str, Any]) -> None:
    """What `models show` prints: headline, classes, confusion, lineage."""
    console, report = stdout(), version["report"]
    console.print(headline(version), soft_wrap=True)
    for note in report["notes"]:
        console.print(f"note: {note}")
    if "per_class" in report["metrics"]:
        console.print(_classes(report))
        if len(report["labels"]) <= SHOWN_CLASSES:
            console.print(_confusion(report))
    origin = report["lineage"]
    console.print(
        f"{origin['strategy']['name']} on {origin['source']['reference']} "
        f"({origin['source']['feature']}), seed {origin['seed']}, "
        f"data {origin['data']['fingerprint'][:12]}, adaptation {origin['adaptation']}"
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
