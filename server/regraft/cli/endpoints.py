"""`regraft endpoints`: which version answers, which is tried beside it, and where."""

import re
from typing import Any

import click
from pydantic import ValidationError

from regraft.adaptations.request import explain
from regraft.cli.backend import open_backend
from regraft.cli.manage import chosen_settings, list_all
from regraft.cli.options import common
from regraft.cli.output import print_json, print_rows, stdout
from regraft.domain import JSON, Mode, Placement
from regraft.errors import InvalidInputError

ENDPOINTS = {
    "name": "NAME",
    "version": "VERSION",
    "previous": "PREVIOUS",
    "trial.mode": "TRIED AS",
    "trial.version": "TRIED",
    "placement.placement": "PLACEMENT",
    "changed": "CHANGED (UTC)",
}
HISTORY = {
    "time": "TIME (UTC)",
    "action": "ACTION",
    "version": "VERSION",
    "reason": "REASON",
}
LIVE = {
    "version": "VERSION",
    "requests": "REQUESTS",
    "faults": "BROKE",
    "mean_seconds": "SECONDS",
    "shadow.copies": "COPIES",
    "shadow.agreement": "AGREED",
    "judged": "JUDGED",
    "accuracy.value": "RIGHT",
    "accuracy.low": "FROM",
    "accuracy.high": "TO",
    "drift.distance": "DRIFT",
    "drift.p": "P",
    "inputs.distance": "INPUT DRIFT",
    "inputs.p": "P",
}
RANGE = re.compile(r"^(\d+)(?:\.\.(\d+))?$")


@click.group()
def endpoints() -> None:
    """Which version answers, which is tried beside it, and where."""


@endpoints.command("list")
@common
def list_endpoints(**given: Any) -> None:
    """All endpoints."""
    list_all("endpoints", ENDPOINTS, given)


@endpoints.command("show")
@click.argument("name")
@common
def show_endpoint(name: str, **given: Any) -> None:
    """One endpoint."""
    with open_backend(chosen_settings(given)) as backend:
        _print_endpoint(backend.endpoint(name), given)


@endpoints.command()
@click.argument("name")
@click.argument("version", type=int)
@click.option("--force", is_flag=True, help="Also a version whose verdict is negative.")
@common
def promote(name: str, version: int, force: bool, **given: Any) -> None:
    """Let VERSION answer."""
    with open_backend(chosen_settings(given)) as backend:
        _print_endpoint(backend.promote(name, version, force), given)


@endpoints.command()
@click.argument("name")
@common
def rollback(name: str, **given: Any) -> None:
    """End the trial of a version, or else let the version answer that did before."""
    with open_backend(chosen_settings(given)) as backend:
        _print_endpoint(backend.roll_back(name), given)


@endpoints.command()
@click.argument("name")
@click.argument("version", type=int)
@click.option("--share", type=click.FloatRange(0, 1, min_open=True), default=0.1, show_default=True)
@click.option("--force", is_flag=True, help="Also a version whose verdict is negative.")
@common
def canary(name: str, version: int, **given: Any) -> None:
    """Let VERSION answer a share of the requests. It is taken back by itself if it does worse."""
    _try_out(name, version, "canary", given)


@endpoints.command()
@click.argument("name")
@click.argument("version", type=int)
@click.option("--share", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True)
@click.option("--force", is_flag=True, help="Also a version whose verdict is negative.")
@common
def shadow(name: str, version: int, **given: Any) -> None:
    """Ask VERSION copies of a share of the requests, and compare what it would have answered."""
    _try_out(name, version, "shadow", given)


def _try_out(name: str, version: int, mode: Mode, given: JSON) -> None:
    with open_backend(chosen_settings(given)) as backend:
        tried = backend.try_out(name, version, mode, given["share"], given["force"])
    _print_endpoint(tried, given)


@endpoints.command("set")
@click.argument("name")
@click.option("--placement", type=click.Choice(["shared", "dedicated"]))
@click.option("--replicas", metavar="MIN..MAX", help="Of its own; from 0: none while nobody asks.")
@click.option("--cpus", type=float, help="Of one replica, and so many threads.")
@click.option("--gpus", type=float, help="Of one replica.")
@click.option("--target-ongoing", type=float, help="Requests that one replica has at a time.")
@click.option("--idle-seconds", type=float, help="Until a replica with too little to do goes.")
@common
def place(name: str, replicas: str | None, **given: Any) -> None:
    """Where NAME answers: from the shared pool, or from replicas of its own."""
    fields = [field for field in Placement.model_fields if given.get(field) is not None]
    wanted = {field: given[field] for field in fields}
    if replicas is not None:
        wanted |= _replicas(replicas)
    if not wanted:
        raise click.UsageError("Nothing to set. Give --placement, --replicas, or another option.")
    with open_backend(chosen_settings(given)) as backend:
        before = backend.endpoint(name)["placement"]
        known = {field: before[field] for field in Placement.model_fields}
        try:
            placement = Placement.model_validate({**known, **wanted})
        except ValidationError as error:
            raise InvalidInputError(explain(error)) from error
        if placement.placement == "shared" and wanted.keys() - {"placement"}:
            raise InvalidInputError(
                "In the shared pool no endpoint has sizes of its own: add --placement dedicated."
            )
        _print_endpoint(backend.place(name, placement), given)


def _replicas(text: str) -> JSON:
    found = RANGE.match(text)
    if found is None:
        raise InvalidInputError(f"--replicas is a number or two such as 1..3, not '{text}'.")
    return {"min_replicas": int(found[1]), "max_replicas": int(found[2] or found[1])}


@endpoints.command()
@click.argument("name")
@common
def end(name: str, **given: Any) -> None:
    """Let nobody answer at NAME any more. Its versions stay: promote one to bring it back."""
    with open_backend(chosen_settings(given)) as backend:
        backend.end_endpoint(name)
    told = f"nobody answers at {name} any more"
    print_json({"ended": name}) if given["as_json"] else stdout().print(told)


@endpoints.command()
@click.argument("name")
@common
def history(name: str, **given: Any) -> None:
    """All changes of NAME, the newest first, and why where that was not asked for."""
    with open_backend(chosen_settings(given)) as backend:
        rows = backend.history(name)
    print_json(rows) if given["as_json"] else print_rows(rows, HISTORY, "")


@endpoints.command()
@click.argument("name")
@common
def live(name: str, **given: Any) -> None:
    """How the versions of NAME do: requests, copies, true labels that came back, drift."""
    with open_backend(chosen_settings(given)) as backend:
        rows = backend.live(name)
    none = f"Nothing was asked of '{name}' since the server started."
    print_json(rows) if given["as_json"] else print_rows(rows, LIVE, none)


def _print_endpoint(endpoint: JSON, given: JSON) -> None:
    if given["as_json"]:
        print_json(endpoint)
        return
    for line in _sentences(endpoint):
        stdout().print(line)


def _sentences(endpoint: JSON) -> list[str]:
    before = f", before that {endpoint['previous']}" if endpoint["previous"] else ""
    lines = [f"{endpoint['path']} answers with version {endpoint['version']}{before}"]
    trial, place = endpoint["trial"], endpoint["placement"]
    if trial is not None:
        does = "answers" if trial["mode"] == "canary" else "is asked copies of"
        lines.append(f"version {trial['version']} {does} {trial['share']:.0%} of the requests")
    if place["placement"] == "dedicated":
        count = f"{place['min_replicas']} to {place['max_replicas']}"
        stands = (
            "" if place["placed"] else f"; the shared pool answers until then ({place['waiting']})"
        )
        lines.append(f"{count} replicas of its own answer{stands}")
    return lines
