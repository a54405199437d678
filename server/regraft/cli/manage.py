"""`regraft models`, `regraft adaptations` and `regraft datasets`."""

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
    "created": "CREATED (UTC)",
}
DATASETS = {
    "id": "ID",
    "filename": "FILE",
    "size": "BYTES",
    "created": "CREATED (UTC)",
}
ADAPTATIONS = {
    "id": "ID",
    "name": "NAME",
    "state": "STATE",
    "spec.strategy": "STRATEGY",
    "submitted": "SUBMITTED (UTC)",
    "reason": "REASON",
}


@click.group()
def models() -> None:
    """Published versions and their reports."""


@models.command("list")
@common
def list_models(**given: Any) -> None:
    """All versions."""
    list_all("models", MODELS, given)


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


@models.command("delete")
@click.argument("model", metavar="NAME/VERSION")
@common
def delete_model(model: str, **given: Any) -> None:
    """Forget a version that neither answers nor is tried. `regraft clean` frees its disk space."""
    name, version = _name_and_number(model)
    if version is None:
        raise InvalidInputError(f"Say which version goes, such as {name}/1.")
    with open_backend(chosen_settings(given)) as backend:
        backend.delete_version(name, version)
    _deleted({"name": name, "version": version}, f"version {version} of {name} is deleted", given)


def _version(model: str, given: dict[str, Any]) -> dict[str, Any]:
    with open_backend(chosen_settings(given)) as backend:
        return backend.model(*_name_and_number(model))


def _name_and_number(model: str) -> tuple[str, int | None]:
    name, _, version = model.partition("/")
    if version and not (version.isascii() and version.isdigit()):
        raise InvalidInputError(f"A version is a number such as {name}/1, not '{model}'.")
    return name, int(version) if version else None


def _deleted(what: dict[str, Any], sentence: str, given: dict[str, Any]) -> None:
    print_json({"deleted": what}) if given["as_json"] else stdout().print(sentence)


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
    list_all("adaptations", ADAPTATIONS, given)


@adaptations.command("show")
@click.argument("identifier", metavar="ID")
@common
def show_adaptation(identifier: str, **given: Any) -> None:
    """One adaptation."""
    with open_backend(chosen_settings(given)) as backend:
        found = backend.adaptation(identifier)
    _print_one(found, ADAPTATIONS, given)


@adaptations.command("cancel")
@click.argument("identifier", metavar="ID")
@common
def cancel_adaptation(identifier: str, **given: Any) -> None:
    """Ask an adaptation to stop; one that has ended is left as it is."""
    with open_backend(chosen_settings(given)) as backend:
        found = backend.cancel(identifier)
    _print_one(found, ADAPTATIONS, given)


@click.group()
def datasets() -> None:
    """Data sets that were uploaded to a server."""


@datasets.command("list")
@common
def list_datasets(**given: Any) -> None:
    """All uploads, the newest first."""
    list_all("datasets", DATASETS, given)


@datasets.command("show")
@click.argument("identifier", metavar="ID")
@common
def show_dataset(identifier: str, **given: Any) -> None:
    """One upload."""
    with open_backend(chosen_settings(given)) as backend:
        found = backend.dataset(identifier)
    _print_one(found, DATASETS, given)


@datasets.command("delete")
@click.argument("identifier", metavar="ID")
@common
def delete_dataset(identifier: str, **given: Any) -> None:
    """Delete an upload that no adaptation needs any more. What was learnt from it stays."""
    with open_backend(chosen_settings(given)) as backend:
        backend.delete_dataset(identifier)
    _deleted({"id": identifier}, f"the data set {identifier} is deleted", given)


def _print_one(found: dict[str, Any], columns: dict[str, str], given: dict[str, Any]) -> None:
    print_json(found) if given["as_json"] else print_rows([found], columns, "")


def chosen_settings(given: dict[str, Any]) -> Any:
    return settings_from(home=given["home"], url=given["url"])


def list_all(kind: str, columns: dict[str, str], given: dict[str, Any]) -> None:
    with open_backend(chosen_settings(given)) as backend:
        rows = backend.listing(kind)
    print_json(rows) if given["as_json"] else print_rows(rows, columns, f"There are no {kind} yet.")
