"""Which of a source model's candidates the backbone ends at, by cross-validation in the training
part: for some tasks an early layer knows more than the last."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from regraft.adaptations.budget import OF_CHOICE, rows_within
from regraft.adaptations.work import Work, features_of_all, recipe
from regraft.contract import Feature, TransferStrategy
from regraft.data.folds import make_folds
from regraft.domain import Examples
from regraft.errors import UnsupportedError

MOST_ROWS = 2000
"""More tell candidates no better apart, and each row costs a fit for every candidate and fold."""


@dataclass(frozen=True)
class Choice:
    """The feature to use, and the loss of each candidate where there was a choice."""

    feature: Feature
    losses: dict[str, float] = field(default_factory=dict)


def choose_feature(work: Work) -> Choice:
    """Of the candidates that the strategy can change that with the least out-of-fold loss; the
    first where rows are too few to tell. UnsupportedError where it can change none."""
    candidates, context = work.request.candidates, work.context
    if len(candidates) == 1:
        return Choice(possible(work, candidates))
    rows = some(work.data.train, work.request.spec.seed)
    folds = make_folds(rows, work.request.spec.seed)
    if not folds:
        return Choice(possible(work, candidates))
    if context.deadline is not None:
        rows = rows_within(work, work.exported_candidates(candidates), rows, OF_CHOICE)
        folds = make_folds(rows, work.request.spec.seed)
    arrays = features_of_all(work, candidates, rows)
    targets = work.task.targets(rows.labels)
    losses = {}
    with context.stage("choice"):
        for feature, array in zip(candidates, arrays, strict=True):
            context.check_cancelled()
            losses[feature.name] = work.request.strategy.cross_validate(array, targets, folds)
    best = possible(work, sorted(candidates, key=lambda feature: losses[feature.name]))
    context.report("choice", {"feature": best.name, "losses": losses})
    return Choice(best, losses)


def possible(work: Work, ranked: Sequence[Feature]) -> Feature:
    """The first that the strategy can change."""
    strategy, source = work.request.strategy, work.request.spec.source
    if type(strategy).check is TransferStrategy.check:
        return ranked[0]
    for feature in ranked:
        made = recipe(work, strategy, feature).open(work.context.plugins)
        reason = made.strategy.check(made.fresh())
        if reason is None:
            return feature
    raise UnsupportedError(
        f"Strategy '{strategy.name}' cannot change source model '{source}' up to feature "
        f"'{feature.name}': {reason}. Take another strategy, such as lp-ft."
    )


def some(examples: Examples, seed: int) -> Examples:
    """All of these rows, or as many as tell candidates apart, drawn by the seed."""
    if len(examples) <= MOST_ROWS:
        return examples
    return examples.take(np.random.default_rng(seed).permutation(len(examples))[:MOST_ROWS])
