"""A version's report as one HTML page that needs nothing else."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from regraft.cli.report import NAMES, gain_over_probe, guess, headline

SHOWN_CLASSES = 20
SHOWN_ROWS = 20


def report_page(version: dict[str, Any]) -> str:
    """The page of what `models show` answers; all that comes from outside is escaped."""
    environment = Environment(
        loader=PackageLoader("regraft.cli", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    report = version["report"]
    return environment.get_template("report.html.j2").render(
        version=version,
        report=report,
        headline=headline(version),
        bars=bars(version),
        gains=gains(report),
        confusion=confusion(report),
        curve=curve(version),
        learnt_again=any(one.get("all_labels") and one["epochs"] for one in report["tried"]),
        names=NAMES,
        over_probe=gain_over_probe(report),
        shown_rows=SHOWN_ROWS,
        guess=guess,
    )


def bars(version: dict[str, Any]) -> list[dict[str, Any]]:
    """The primary metric of each baseline that there is, and of the version."""
    known = {
        NAMES[name]: value for name, value in version["baselines"].items() if value is not None
    }
    ours = f"{version['strategy']} on {version['source']}"
    rows = [{"name": name, "value": value, "ours": False} for name, value in known.items()]
    return [*rows, {"name": ours, "value": version["metrics"]["primary"], "ours": True}]


def gains(report: dict[str, Any]) -> dict[str, Any]:
    """Gains in points, and the axis that holds all of their intervals and 0."""
    found = [report["gain"], report["gain_scratch"], gain_over_probe(report)]
    rows = [
        {"name": NAMES[gain["against"]], **{k: 100 * gain[k] for k in ("value", "low", "high")}}
        for gain in found
        if gain
    ]
    ends = [0.0, *(row[key] for row in rows for key in ("low", "high"))]
    margin = max(1.0, 0.1 * (max(ends) - min(ends)))
    return {"rows": rows, "low": min(ends) - margin, "high": max(ends) + margin}


def confusion(report: dict[str, Any]) -> list[list[dict[str, Any]]] | None:
    """Counts [true class, predicted class], each with its share of the row; None where there are
    too many classes to look at, or none."""
    table = report["metrics"].get("confusion")
    if table is None or len(table) > SHOWN_CLASSES:
        return None
    return [[{"count": count, "share": count / max(1, sum(row))} for count in row] for row in table]


def curve(version: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows and primary metric of the learning curve, the whole training part last."""
    known = version["report"]["learning_curve"] or []
    points = [point for point in known if point["primary"] is not None]
    if not points:
        return []
    whole = {"rows": version["rows"]["train"], "primary": version["metrics"]["primary"]}
    return [*points, whole]
