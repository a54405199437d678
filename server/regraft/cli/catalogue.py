"""`regraft sources`, `tasks`, `strategies` and `plugins`: what is installed."""

from typing import Any

import click

from regraft.cli.backend import open_backend
from regraft.cli.options import common, settings_from
from regraft.cli.output import print_json, print_rows, stdout

COLUMNS = {
    "sources": {
        "name": "NAME",
        "modality": "MODALITY",
        "licence": "LICENCE",
        "summary": "SUMMARY",
        "plugin": "PLUGIN",
    },
    "tasks": {
        "name": "NAME",
        "modality": "MODALITY",
        "primary": "METRIC",
        "summary": "SUMMARY",
        "plugin": "PLUGIN",
    },
    "strategies": {
        "name": "NAME",
        "kind": "KIND",
        "summary": "SUMMARY",
        "paper": "PAPER",
        "plugin": "PLUGIN",
    },
    "plugins": {
        "name": "NAME",
        "distribution": "DISTRIBUTION",
        "version": "VERSION",
        "state": "STATE",
        "provides": "PROVIDES",
        "reason": "REASON",
    },
}


def _listing(kind: str, as_json: bool, url: str | None, home: str | None) -> None:
    with open_backend(settings_from(url=url, home=home)) as backend:
        rows = backend.listing(kind)
    print_json(rows) if as_json else print_rows(rows, COLUMNS[kind], f"There are no {kind}.")


def _group(kind: str, help_text: str) -> click.Group:
    @click.group(kind, help=help_text, invoke_without_command=True)
    @common
    @click.pass_context
    def show(context: click.Context, /, **given: Any) -> None:
        if context.invoked_subcommand is None:
            _listing(kind, **given)

    return show


def _command(kind: str, help_text: str) -> click.Command:
    @click.command(kind, help=help_text)
    @common
    def show(as_json: bool, url: str | None, home: str | None) -> None:
        _listing(kind, as_json, url, home)

    return show


sources = _group("sources", "Source models of the catalogue; `show` opens one by any reference.")
tasks = _command("tasks", "Tasks that a model can be adapted to.")
strategies = _command("strategies", "Ways to transfer.")
plugins = _command("plugins", "Installed plugins; a broken one is listed with its reason.")


@sources.command("show")
@click.argument("reference")
@common
def show_source(reference: str, as_json: bool, url: str | None, home: str | None) -> None:
    """What is known of a source model: licence, origin, parameters, and where it can end."""
    with open_backend(settings_from(url=url, home=home)) as backend:
        found = backend.source(reference)
    if as_json:
        print_json(found)
        return
    features = found.pop("features")
    shown = {**found, "parameters": _thousands(found["parameters"])}
    for name, value in shown.items():
        stdout().print(f"{name}: {'-' if value is None else value}", soft_wrap=True)
    columns = {"name": "FEATURE", "form": "FORM", "size": "SIZE", "candidate": "CANDIDATE"}
    print_rows(features, columns, "There are no features.")


def _thousands(count: int | None) -> str | None:
    return None if count is None else f"{count:,}"
