"""`regraft predict`: ask an endpoint."""

from collections.abc import Sequence
from typing import Any

import click

from regraft.cli.backend import open_backend
from regraft.cli.options import common, settings_from
from regraft.cli.output import print_json, print_rows
from regraft.domain import JSON
from regraft.errors import InvalidInputError


@click.command()
@click.argument("endpoint")
@click.argument("inputs", nargs=-1, required=True, metavar="TEXT...")
@common
def predict(endpoint: str, inputs: tuple[str, ...], **given: Any) -> None:
    """Ask ENDPOINT for the label of each TEXT."""
    _check_encoding(endpoint, *inputs)
    with open_backend(settings_from(home=given["home"], url=given["url"])) as backend:
        answer = backend.predict(endpoint, list(inputs))
    if given["as_json"]:
        print_json(answer)
        return
    print_predictions(inputs, answer)


def _check_encoding(*words: str) -> None:
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as error:  # bytes of the command line that are not UTF-8
            shown = word.encode("utf-8", "backslashreplace").decode()[:60]
            raise InvalidInputError(f"'{shown}' is not UTF-8.") from error


def print_predictions(inputs: Sequence[str], answer: JSON) -> None:
    """A line for each text."""
    rows = [
        {"text": text, **prediction}
        for text, prediction in zip(inputs, answer["predictions"], strict=True)
    ]
    print_rows(rows, {"label": "LABEL", "score": "SCORE", "text": "TEXT"}, "")
