"""Which strategies are tried where the user leaves the choice to us."""

from regraft.adaptations.request import Request, beginnings, check_fits, with_options
from regraft.contract import TransferStrategy
from regraft.domain import DataSet
from regraft.errors import RegraftError
from regraft.plugins import Plugins

FEW, MANY = 32, 200
"""Labelled rows a class below which little of the source model is changed, and from which all of it
is. The limits, and the order from MANY on, are those of SetFit's published results; the order below
is what `benchmarks.transfer` measured: with few labels small changes gave most."""
UNFIT = ("full",)
"""Where the head takes more than one vector a row."""

BY_ROWS = {
    "few": ("last-k", "lora", "linear-probe"),
    "some": ("lora", "last-k", "lp-ft", "linear-probe"),
    "many": ("lp-ft", "full", "linear-probe"),
}
ACROSS = ("mcc", "pseudo-label")


def candidates(request: Request, data: DataSet, plugins: Plugins) -> list[TransferStrategy]:
    """The strategies to try, those first that were best with so many labels elsewhere.

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
    """Those for so many labelled rows a class, without a look at what fits."""
    return BY_ROWS["few" if each < FEW else "some" if each < MANY else "many"]


def _each(data: DataSet) -> float:
    """Labelled rows a class, in the mean."""
    return len(data.train) / max(1, len(data.labels))
