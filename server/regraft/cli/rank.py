"""`regraft rank`: which source model is likely to adapt best to a data set."""

import time
from datetime import UTC, datetime
from typing import Any

import click

from regraft.adaptations.context import Context
from regraft.adaptations.request import catalogued, parse_spec
from regraft.cli.options import common, settings_from
from regraft.cli.output import print_json, print_rows, reserve_stdout, stderr, stdout
from regraft.cli.report import guess
from regraft.domain import JSON, Adaptation, State
from regraft.plugins import Plugins
from regraft.registry.store import Registry

COLUMNS = {
    "source": "SOURCE",
    "feature": "FEATURE",
    "rank": "MEAN RANK",
    "log_evidence": "LOGME",
    "h_score": "H-SCORE",
    "neighbour_accuracy": "5-NN",
    "probe_accuracy": "PROBE",
    "prior": "PRIOR",
}


@click.command()
@click.argument("data")
@click.option("--task", default="text-classification", show_default=True)
@click.option("--sources", help="Which, with commas between [all of the catalogue that fit].")
@click.option("--input-column", "--text-column", "input_column", help="As for adapt.")
@click.option("--label-column", help="As for adapt.")
@click.option("--group-column", help="As for adapt.")
@click.option("--seed", type=int, default=0)
@common
def rank(**given: Any) -> None:
    """Rank source models for DATA by how well their frozen features fit its labels.

    Nothing is trained, and nothing is published. The work is done in this process.
    """
    from regraft.adaptations.rank import rank_sources
    from regraft.adaptations.run import load_data

    reserve_stdout()
    start, as_json = time.perf_counter(), given.pop("as_json")
    if given.pop("url") is not None:
        raise click.UsageError("rank works in this process: it asks no server (--url).")
    settings = settings_from(home=given.pop("home"))
    asked, plugins = given.pop("sources"), Plugins.load()
    named = [name.strip() for name in asked.split(",")] if asked else None
    sources = named or catalogued(plugins.task(given["task"]), plugins)
    values = {name: value for name, value in given.items() if value is not None}
    spec = parse_spec({"name": "ranking", "source": "any", **values})
    registry = Registry.of(settings)
    run = Adaptation("ranking", spec, State.RUNNING, datetime.now(UTC))
    context = Context(run, registry, plugins, settings, listen=_tell, recorded=False)
    found = rank_sources(context, spec, load_data(context, spec), sources)
    found["seconds"]["total"] = time.perf_counter() - start
    print_json(found) if as_json else _print(found)


def _tell(event: Any) -> None:
    if event.kind == "stage":
        stderr().print(f"· {event.data['name'].replace('_', ' ')}", style="dim")


def _print(found: JSON) -> None:
    rows = [{name: _cell(row[name]) for name in COLUMNS} for row in found["ranking"]]
    print_rows(rows, COLUMNS, "There is nothing to rank.")
    for source, reason in found["refused"].items():
        stdout().print(f"{source} is left out: {reason}", soft_wrap=True)
    stdout().print(guess(found), soft_wrap=True)


def _cell(value: Any) -> Any:
    return f"{value:.3f}" if isinstance(value, float) else "-" if value is None else value
