"""What `auto` takes learns once more, from the rows that chose it too."""

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from regraft.adaptations.training import Limits, Runner, Trained, train_in
from regraft.adaptations.work import Work
from regraft.contract import Feature
from regraft.data.split import split
from regraft.domain import DataSet
from regraft.errors import CancelledRunError, DataError, RegraftError

FEW = 16
"""Validation rows below which it is a matter of luck which epoch they call the best."""

log = logging.getLogger("regraft.adaptations")


def refit(
    work: Work,
    feature: Feature,
    trained: Trained,
    run: Runner,
    directory: Path,
    seconds: float = 0.0,
) -> Trained:
    """The mean of `trained`, which took so many seconds, and of a model that the same strategy
    makes of all labelled rows in as many epochs; where few rows judged it, also of one that others
    of them judge. `trained` itself where that fails or the budget does not suffice for as long
    again.

    Models that began as one lie in one basin, and of few rows each is a matter of luck: their mean
    is less so. Source: Wortsman et al. 2022, Model Soups.
    """
    from regraft.model import mean_of_weights

    strategy, found = work.request.strategy, [trained]
    if strategy.ingredients():  # They are mixed by what the validation part says.
        return trained
    if trained.epochs == 0:  # There was no time for one.
        return trained
    for name, data, limits in _again(work, trained):
        if limits.deadline is not None and time.time() + seconds >= limits.deadline:
            break
        try:
            there, on = directory / name, replace(work, data=data)
            found.append(train_in(there, on, (strategy, feature), run, limits))
        except CancelledRunError:
            raise
        except RegraftError as error:
            log.warning("%s did not learn again from %s: %s", strategy.name, name, error)
    if not found[1:]:
        return trained
    found[1].model.load_state_dict(mean_of_weights([one.model for one in found]))
    return found[1]


def _again(work: Work, trained: Trained) -> Iterator[tuple[str, DataSet, Limits]]:
    """What to learn from again, its name, and for how long."""
    data, deadline = work.data, work.context.deadline
    whole = replace(data, train=data.labelled, validation=data.validation.take([]))
    yield "all", whole, Limits(deadline, whole=True, epochs=trained.epochs)
    others = _exchanged(data, work.request.strategy.seed) if len(data.validation) < FEW else None
    if others is not None:
        yield "others", others, Limits(deadline, whole=True, epochs=trained.epochs + 1)


def _exchanged(data: DataSet, seed: int) -> DataSet | None:
    """The same with about as many other rows held out; None where that cannot be, or where some
    training rows are not of the target."""
    share = len(data.validation) / len(data.train)
    if data.borrowed or share >= 1:
        return None
    shares, rng = {"train": 1 - share, "validation": share}, np.random.default_rng(seed)
    try:
        parts = split("the training part", data.train, _classes(data), shares, rng)
    except DataError:
        return None
    train = parts["train"].joined(data.validation)
    return replace(data, train=train, validation=parts["validation"])


def _classes(data: DataSet) -> tuple[str, ...]:
    """Those of the rows; one for all where a row has no class."""
    found = tuple(sorted({*data.train.labels}))
    return found if {*found} <= {*data.labels} else found[:1]
