"""Which strategies are tried where the user leaves the choice to us."""

from regraft.adaptations.request import Request, beginnings, check_fits, with_options
from regraft.contract import TransferStrategy
from regraft.domain import DataSet
from regraft.errors import RegraftError
from regraft.plugins import Plugins

POOLED: tuple[str, ...] = ("lp-ft", "lora", "linear-probe")
"""A head that starts from the probe, one that learns from the start, and the probe alone: one
source model was best adapted by the first, another by the second, with 8 labelled rows a class as
with 200 (`benchmarks.transfer`)."""
UNFIT: tuple[str, ...] = ("full",)
"""Where the head takes more than one vector a row."""
ACROSS = ("mcc", "pseudo-label")


def candidates(request: Request, data: DataSet, plugins: Plugins) -> list[TransferStrategy]:
    """The strategies to try: of all, those that are installed and fit source model and task."""
    names = POOLED if request.task.form == "pooled" else UNFIT
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
