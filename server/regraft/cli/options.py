"""Options that several commands share."""

from collections.abc import Callable
from typing import Any

import click
from pydantic import ValidationError

from regraft.adaptations.request import explain
from regraft.errors import InvalidInputError
from regraft.settings import Settings


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--json`, `--url` and `--home`."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout."),
        click.option("--url", envvar="REGRAFT_URL", help="The server to ask."),
        click.option("--home", envvar="REGRAFT_HOME", help="The home directory [~/.regraft]."),
    ):
        command = option(command)
    return command


def settings_from(**values: Any) -> Settings:
    """Settings with what the command line says over what the environment says."""
    try:
        return Settings(**{name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        raise InvalidInputError(f"Settings: {explain(error)}") from error
