"""`regraft adapt`: from a labelled file to a published version."""

import json
from collections.abc import Callable
from typing import Any

import click

from regraft.adaptations.request import parse_spec
from regraft.cli.backend import open_backend
from regraft.cli.options import common, settings_from
from regraft.cli.output import print_json, reserve_stdout, stdout
from regraft.cli.progress import ProgressBar
from regraft.cli.report import print_result
from regraft.errors import InvalidInputError

OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--name", required=True, help="Names the model and its endpoint."),
    click.option("--task", default="text-classification", show_default=True),
    click.option(
        "--source", required=True, help="Catalogue name, path, hub name, KIND:REF, or auto."
    ),
    click.option(
        "--strategy",
        default="linear-probe",
        show_default=True,
        help="One of `regraft strategies`, or auto: several are tried.",
    ),
    click.option(
        "--input-column", "--text-column", "input_column", help="Found by its name unless given."
    ),
    click.option("--label-column", help="Found by its name unless given."),
    click.option("--group-column", help="Rows of one group stay in one part."),
    click.option("--source-data", help="A file with labelled rows of another domain."),
    click.option("--unlabelled", help="A file with rows of the target; labels are not looked at."),
    click.option("--test", help="A file with the test rows; DATA is then split in two."),
    click.option("--validation", help="A file with the validation rows."),
    click.option("--split", help="Fractions of train, validation, test [.7,.15,.15]."),
    click.option(
        "--limit-rows", type=int, help="Use only about so many rows of DATA, at least 3 a class."
    ),
    click.option(
        "--option", "options", multiple=True, metavar="KEY=VALUE", help="Of the strategy."
    ),
    click.option("--seed", type=int, help="Of the split and of training [0]."),
    click.option(
        "--workers", type=int, help="Processes that train, or compute features [one, or one a GPU]."
    ),
    click.option("--budget", help="Time after which training ends with the best so far: 90s, 10m."),
    click.option("--class-weights", is_flag=True, help="Rare classes count as much as others."),
    click.option("--learning-curve", is_flag=True, help="Also with a quarter and half the rows."),
    click.option(
        "--precision",
        type=click.Choice(["auto", "fp32"]),
        help="auto: less where it is faster and as good [auto].",
    ),
    click.option(
        "--quality-loss", type=float, help="The most that less precision may cost [.005]."
    ),
    click.option("--detach", is_flag=True, help="With a server: do not wait for the end."),
    click.option("--no-promote", is_flag=True, help="Publish, but leave the endpoint as it is."),
    click.option("--force", is_flag=True, help="Move the endpoint though the verdict is negative."),
)

UNITS = {"s": 1, "m": 60, "h": 3600}


def _with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@click.command()
@click.argument("data", required=False)
@_with_options
@common
def adapt(**given: Any) -> None:
    """Adapt a source model to DATA, a table or a folder of files, and publish the result.

    DATA are labelled rows of the target. They may be absent where --source-data and --test are not.
    """
    reserve_stdout()
    as_json, detach = given.pop("as_json"), given.pop("detach")
    settings = settings_from(home=given.pop("home"), url=given.pop("url"))
    spec = parse_spec(_values(given))
    with open_backend(settings) as backend, ProgressBar() as bar:
        result = backend.adapt(spec, detach, bar.show)
    if as_json:
        print_json(result)
    elif detach:
        stdout().print(f"submitted as {result['id']}")
    else:
        print_result(result)


def _values(given: dict[str, Any]) -> dict[str, Any]:
    """The command line's words as those of a spec."""
    values = {name: value for name, value in given.items() if value is not None}
    values["promote"] = not values.pop("no_promote")
    values["options"] = dict(_pair(text) for text in given["options"])
    if "split" in values:
        values["split"] = _fractions(values["split"])
    if "budget" in values:
        values["budget"] = _seconds(values["budget"])
    return values


def _seconds(text: str) -> float:
    number, unit = (text[:-1], text[-1]) if text[-1:] in UNITS else (text, "s")
    try:
        return float(number) * UNITS[unit]
    except ValueError:
        raise InvalidInputError(
            f"--budget wants a time such as 90s, 10m or 2h, not '{text}'."
        ) from None


def _pair(text: str) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise InvalidInputError(f"--option wants KEY=VALUE, not '{text}'.")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _fractions(text: str) -> tuple[float, ...]:
    try:
        fractions = tuple(float(part) for part in text.split(","))
    except ValueError:
        fractions = ()
    if len(fractions) != 3:
        raise InvalidInputError(f"--split wants three fractions such as .7,.15,.15, not '{text}'.")
    return fractions
