"""Which of a source model's candidates the backbone ends at, by cross-validation in the training
part: for some tasks an early layer knows more than the last."""

from dataclasses import dataclass, field

import numpy as np

from regraft.adaptations.work import Work, features_of_all
from regraft.contract import Feature
from regraft.data.folds import make_folds
from regraft.domain import Examples

MOST_ROWS = 2000
"""More tell candidates no better apart, and each row costs a fit for every candidate and fold."""


@dataclass(frozen=True)
class Choice:
    """The feature to use, and the loss of each candidate where there was a choice."""

    feature: Feature
    losses: dict[str, float] = field(default_factory=dict)


def choose_feature(work: Work) -> Choice:
    """The candidate with the least out-of-fold loss; the first where rows are too few to tell."""
    candidates, context = work.request.candidates, work.context
    if len(candidates) == 1:
        return Choice(candidates[0])
    rows = some(work.data.train, work.request.spec.seed)
    folds = make_folds(rows, work.request.spec.seed)
    if not folds:
        return Choice(candidates[0])
    arrays = features_of_all(work, candidates, rows)
    targets = work.task.targets(rows.labels)
    losses = {}
    with context.stage("choice"):
        for feature, array in zip(candidates, arrays, strict=True):
            context.check_cancelled()
            losses[feature.name] = work.request.strategy.cross_validate(array, targets, folds)
    best = min(candidates, key=lambda feature: losses[feature.name])
    context.report("choice", {"feature": best.name, "losses": losses})
    return Choice(best, losses)


def some(examples: Examples, seed: int) -> Examples:
    """All of these rows, or as many as tell candidates apart, drawn by the seed."""
    if len(examples) <= MOST_ROWS:
        return examples
    return examples.take(np.random.default_rng(seed).permutation(len(examples))[:MOST_ROWS])
