"""`regraft sources`, `tasks`, `strategies` and `plugins`: what is installed."""

import click

from regraft.cli.backend import open_backend
from regraft.cli.options import common, settings_from
from regraft.cli.output import print_json, print_rows

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


def _command(kind: str, help_text: str) -> click.Command:
    @click.command(kind, help=help_text)
    @common
    def show(as_json: bool, url: str | None, home: str | None) -> None:
        with open_backend(settings_from(url=url, home=home)) as backend:
            rows = backend.listing(kind)
        print_json(rows) if as_json else print_rows(rows, COLUMNS[kind], f"There are no {kind}.")

    return show


sources = _command("sources", "Source models of the catalogue.")
tasks = _command("tasks", "Tasks that a model can be adapted to.")
strategies = _command("strategies", "Ways to transfer.")
plugins = _command("plugins", "Installed plugins; a broken one is listed with its reason.")
