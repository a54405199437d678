"""`regraft predict`: ask an endpoint."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from regraft.cli.backend import open_backend
from regraft.cli.options import common, settings_from
from regraft.cli.output import print_json, print_rows
from regraft.domain import JSON
from regraft.errors import InvalidInputError


@click.command()
@click.argument("endpoint")
@click.argument("inputs", nargs=-1, metavar="TEXT...")
@click.option("--file", "files", multiple=True, help="Send the content of this file instead.")
@common
def predict(endpoint: str, inputs: tuple[str, ...], files: tuple[str, ...], **given: Any) -> None:
    """Ask ENDPOINT for the label of each TEXT, or of each --file such as an image."""
    _check_encoding(endpoint, *inputs)
    asked: list[Any] = [_content(file) for file in files] if files else list(inputs)
    if bool(inputs) == bool(files):
        raise InvalidInputError("Give texts, or files with --file, and not both.")
    with open_backend(settings_from(home=given["home"], url=given["url"])) as backend:
        if files and not _takes_files(backend, endpoint):
            raise InvalidInputError(f"Endpoint '{endpoint}' takes texts, not files.")
        answer = backend.predict(endpoint, asked)
    if given["as_json"]:
        print_json(answer)
        return
    print_predictions(inputs or files, answer)


def _takes_files(backend: Any, endpoint: str) -> bool:
    task = backend.model(endpoint, None)["task"]
    return any(row["name"] == task and row["suffixes"] for row in backend.listing("tasks"))


def _content(file: str) -> bytes:
    try:
        return Path(file).expanduser().read_bytes()
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInputError(f"The file '{file}' cannot be read: {reason}.") from error


def _check_encoding(*words: str) -> None:
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as error:  # bytes of the command line that are not UTF-8
            shown = word.encode("utf-8", "backslashreplace").decode()[:60]
            raise InvalidInputError(f"'{shown}' is not UTF-8.") from error


def print_predictions(inputs: Sequence[str], answer: JSON) -> None:
    """A line for each input."""
    rows = [
        {"input": given, **prediction}
        for given, prediction in zip(inputs, answer["predictions"], strict=True)
    ]
    shown = [name for name, value in answer["predictions"][0].items() if _is_short(value)]
    print_rows(rows, {name: name.upper() for name in [*shown, "input"]}, "")


def _is_short(value: Any) -> bool:
    return not isinstance(value, dict | list)
