"""`regraft models`, `adaptations` and `endpoints`."""

from pathlib import Path
from typing import Any

import click

from regraft.cli.backend import open_backend
from regraft.cli.options import common, settings_from
from regraft.cli.output import print_json, print_rows, stdout
from regraft.cli.page import report_page
from regraft.cli.report import print_version
from regraft.errors import InvalidInputError

MODELS = {
    "name": "NAME",
    "version": "VERSION",
    "task": "TASK",
    "strategy": "STRATEGY",
    "metrics.primary": "SCORE",
    "gain.value": "GAIN",
    "verdict": "VERDICT",
    "created": "CREATED",
}
ADAPTATIONS = {
    "id": "ID",
    "name": "NAME",
    "state": "STATE",
    "spec.strategy": "STRATEGY",
    "submitted": "SUBMITTED",
    "reason": "REASON",
}
ENDPOINTS = {
    "name": "NAME",
    "version": "VERSION",
    "previous": "PREVIOUS",
    "path": "PATH",
    "changed": "CHANGED",
}


@click.group()
def models() -> None:
    """Published versions and their reports."""


@models.command("list")
@common
def list_models(**given: Any) -> None:
    """All versions."""
    _list("models", MODELS, given)


@models.command("show")
@click.argument("model", metavar="NAME[/VERSION]")
@common
def show_model(model: str, **given: Any) -> None:
    """One version with its report; the newest unless VERSION is given."""
    found = _version(model, given)
    print_json(found) if given["as_json"] else print_version(found)


@models.command("report")
@click.argument("model", metavar="NAME[/VERSION]")
@click.option("--html", type=click.Path(dir_okay=False), help="Write it as one page to this file.")
@common
def report_model(model: str, html: str | None, **given: Any) -> None:
    """The transfer report of a version: whether transfer helped, against what, and what to know."""
    found = _version(model, given)
    if html is not None:
        _write(Path(html), report_page(found))
    if given["as_json"]:
        print_json(found["report"])
    elif html is None:
        print_version(found)
    else:
        stdout().print(f"the report of {found['name']}/{found['version']} is in {html}")


def _version(model: str, given: dict[str, Any]) -> dict[str, Any]:
    name, _, version = model.partition("/")
    if version and not version.isdigit():
        raise InvalidInputError(f"A version is a number such as {name}/1, not '{model}'.")
    with open_backend(_settings(given)) as backend:
        return backend.model(name, int(version) if version else None)


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be written: {error.strerror or error}.") from error


@click.group()
def adaptations() -> None:
    """Adaptations, running and past."""


@adaptations.command("list")
@common
def list_adaptations(**given: Any) -> None:
    """All adaptations, the newest first."""
    _list("adaptations", ADAPTATIONS, given)


@adaptations.command("show")
@click.argument("identifier", metavar="ID")
@common
def show_adaptation(identifier: str, **given: Any) -> None:
    """One adaptation."""
    with open_backend(_settings(given)) as backend:
        found = backend.adaptation(identifier)
    print_json(found) if given["as_json"] else print_rows([found], ADAPTATIONS, "")


@click.group()
def endpoints() -> None:
    """Which version answers."""


@endpoints.command("list")
@common
def list_endpoints(**given: Any) -> None:
    """All endpoints."""
    _list("endpoints", ENDPOINTS, given)


@endpoints.command("show")
@click.argument("name")
@common
def show_endpoint(name: str, **given: Any) -> None:
    """One endpoint."""
    with open_backend(_settings(given)) as backend:
        _print_endpoint(backend.endpoint(name), given)


@endpoints.command()
@click.argument("name")
@click.argument("version", type=int)
@click.option("--force", is_flag=True, help="Also a version whose verdict is negative.")
@common
def promote(name: str, version: int, force: bool, **given: Any) -> None:
    """Let VERSION answer."""
    with open_backend(_settings(given)) as backend:
        _print_endpoint(backend.promote(name, version, force), given)


@endpoints.command()
@click.argument("name")
@common
def rollback(name: str, **given: Any) -> None:
    """Let the version answer that did before."""
    with open_backend(_settings(given)) as backend:
        _print_endpoint(backend.roll_back(name), given)


def _settings(given: dict[str, Any]) -> Any:
    return settings_from(home=given["home"], url=given["url"])


def _list(kind: str, columns: dict[str, str], given: dict[str, Any]) -> None:
    with open_backend(_settings(given)) as backend:
        rows = backend.listing(kind)
    print_json(rows) if given["as_json"] else print_rows(rows, columns, f"There are no {kind} yet.")


def _print_endpoint(endpoint: dict[str, Any], given: dict[str, Any]) -> None:
    if given["as_json"]:
        print_json(endpoint)
        return
    before = f", before that {endpoint['previous']}" if endpoint["previous"] else ""
    stdout().print(f"{endpoint['path']} answers with version {endpoint['version']}{before}")
