"""`regraft config`: what the settings are, and whence."""

import os
from typing import Any

import click

from regraft.cli.options import settings_from
from regraft.cli.output import print_json, print_rows
from regraft.logs import redacted
from regraft.settings import FILE, PREFIX, Settings, from_file

COLUMNS = {"name": "SETTING", "value": "VALUE", "from": "FROM"}


@click.group()
def config() -> None:
    """The settings of this machine's commands and servers."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def show(as_json: bool) -> None:
    """All settings as they are in effect here; of secrets only that they are there.

    Options of a command come before the environment, that before the file which
    REGRAFT_SETTINGS_FILE names (TOML, by the names below), and that before defaults.
    """
    found, given = settings_from().model_dump(mode="json"), from_file()
    rows = [
        {"name": name, "value": _shown(found[name]), "from": _whence(name, given)}
        for name in Settings.model_fields
    ]
    print_json(rows) if as_json else print_rows(rows, COLUMNS, "")


def _shown(value: Any) -> Any:
    """A password in a URL is not for whoever may see the screen."""
    return redacted(value) if isinstance(value, str) else value


def _whence(name: str, given: dict[str, Any]) -> str:
    variable = f"{PREFIX}{name.upper()}"
    # As pydantic-settings reads it, in whatever case.
    if variable in {key.upper() for key in os.environ}:
        return variable
    return os.environ[FILE] if name in given else "default"
