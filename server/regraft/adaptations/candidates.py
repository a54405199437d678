"""Which strategies are tried where the user leaves the choice to us."""

from regraft.adaptations.request import Request, beginnings, check_fits, with_options
from regraft.contract import TransferStrategy
from regraft.domain import DataSet
from regraft.errors import RegraftError
from regraft.plugins import Plugins

MANY = 200
"""Labelled rows a class from which all of the source model is changed from the start, as SetFit's
published results have it (Tunstall et al. 2022)."""
UNFIT = ("full",)
"""Where the head takes more than one vector a row."""
ACROSS = ("mcc", "pseudo-label")


def candidates(request: Request, data: DataSet, plugins: Plugins) -> list[TransferStrategy]:
    """The strategies to try for so many labels and domains.

    Those that are not installed, or do not fit the source model or the task, are left out.
    """
    names: tuple[str, ...] = UNFIT if request.task.form != "pooled" else by_rows(_each(data))
    if data.unlabelled is not None and data.source is not None:
        names += ACROSS
    found = []
    for name in names:
        try:
            strategy = with_options(plugins.strategy(name), {}, request.spec.seed)
            check_fits(beginnings(strategy, plugins), request.source, request.task)
        except RegraftError:
            continue
        found.append(strategy)
    return found


def by_rows(each: float) -> tuple[str, ...]:
    """Those for so many labelled rows a class, without a look at what fits.

    With a head that starts from the probe and with one that learns from the start: of two source
    models one was adapted best by this, the other by that (`benchmarks.transfer`).
    """
    return ("lp-ft", "lora" if each < MANY else "full", "linear-probe")


def _each(data: DataSet) -> float:
    """Labelled rows a class, in the mean."""
    return len(data.train) / max(1, len(data.labels))
