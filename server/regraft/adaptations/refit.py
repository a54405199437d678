"""What `auto` takes learns once more, from the rows that chose it too."""

import logging
import time
from dataclasses import replace
from pathlib import Path

from regraft.adaptations.training import Limits, Runner, Trained, train_in
from regraft.adaptations.work import Work
from regraft.contract import Feature
from regraft.errors import CancelledRunError, RegraftError

log = logging.getLogger("regraft.adaptations")


def refit(work: Work, feature: Feature, trained: Trained, run: Runner, directory: Path) -> Trained:
    """The mean of `trained` and of a model that the same strategy makes of all labelled rows in as
    many epochs; `trained` itself where that fails or the budget does not suffice.

    Two models that began as one lie in one basin, and of few rows each is a matter of luck: their
    mean is less so. Source: Wortsman et al. 2022, Model Soups.
    """
    from regraft.model import mean_of_weights

    strategy, data = work.request.strategy, work.data
    deadline = work.context.deadline
    if deadline is not None and time.time() >= deadline:
        return trained
    if strategy.ingredients():  # They are mixed by what the validation part says.
        return trained
    if trained.epochs == 0:  # There was no time for one.
        return trained
    labelled = replace(data, train=data.labelled, validation=data.validation.take([]))
    limits = Limits(deadline, whole=True, epochs=trained.epochs)
    what = (strategy, feature)
    try:
        again = train_in(directory, replace(work, data=labelled), what, run, limits)
    except CancelledRunError:
        raise
    except RegraftError as error:
        log.warning("%s did not learn from all labels: %s", strategy.name, error)
        return trained
    again.model.load_state_dict(mean_of_weights([trained.model, again.model]))
    return again
