"""Which strategies are tried where the user leaves the choice to us."""

from regraft.adaptations.request import Request, beginnings, check_fits, with_options
from regraft.contract import TransferStrategy
from regraft.domain import DataSet
from regraft.errors import RegraftError
from regraft.plugins import Plugins

FEW, MANY = 32, 200
"""Labelled rows a class below which closed forms and contrastive learning are tried, and from which
fine-tuning is: the best of SetFit's published results at 8, 64 and all labels."""
UNFIT = ("full",)
"""Where the head takes more than one vector a row."""

BY_ROWS = {
    "few": ("contrastive", "linear-probe", "prototype"),
    "some": ("contrastive", "lp-ft", "lora", "linear-probe"),
    "many": ("lp-ft", "full", "linear-probe"),
}
ACROSS = ("mcc", "pseudo-label")


def candidates(request: Request, data: DataSet, plugins: Plugins) -> list[TransferStrategy]:
    """The strategies to try, those first that were best with so many labels elsewhere.

    Those that are not installed, or do not fit the source model or the task, are left out.
    """
    names: tuple[str, ...] = UNFIT if request.task.form != "pooled" else BY_ROWS[_amount(data)]
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


def _amount(data: DataSet) -> str:
    """How many labelled rows a class has in the mean."""
    each = len(data.train) / max(1, len(data.labels))
    return "few" if each < FEW else "some" if each < MANY else "many"
