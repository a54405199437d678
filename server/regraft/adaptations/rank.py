"""Which source model is likely to adapt best, before any is adapted: a guess, and what it cost."""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from regraft.adaptations.choice import some
from regraft.adaptations.context import Context
from regraft.adaptations.request import PROBE, by, catalogued, check_request, usable
from regraft.adaptations.work import begin, features_for_a_guess
from regraft.data.folds import make_folds, unit_numbers
from regraft.domain import JSON, AdaptationSpec, DataSet
from regraft.errors import InvalidInputError, RegraftError, UnsupportedError
from regraft.plugins import Plugins
from regraft.ranking import Measures, mean_ranks, measure

FOLDS = 4
"""Of the probe, as far as the rows go."""


@dataclass(frozen=True)
class Ranked:
    """A source model that ends at a feature, and what is known of how they fit the labels."""

    source: str
    feature: str
    measures: Measures
    prior: float | None


def rank_sources(
    context: Context, spec: AdaptationSpec, data: DataSet, sources: Sequence[str]
) -> JSON:
    """All features of all these sources that transfer could use, the likeliest first.

    Of the training part at most 2,000 rows are looked at. A source that cannot be opened is told
    with the reason; InvalidInputError if that is every one.
    """
    found: list[Ranked] = []
    refused, seconds = {}, {}
    for source in sources:
        start = time.perf_counter()
        try:
            found += _measured(context, spec.model_copy(update={"source": source}), data)
        except RegraftError as error:
            refused[source] = str(error)
        seconds[source] = time.perf_counter() - start
        context.check_cancelled()
    if not found:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
        raise InvalidInputError(f"There is no source model to rank. {reasons}")
    ranks = mean_ranks([one.measures for one in found])
    order = sorted(range(len(found)), key=lambda n: (ranks[n], found[n].source))
    rows = [
        {
            "source": found[n].source,
            "feature": found[n].feature,
            "rank": ranks[n],
            **{name: _known(value) for name, value in asdict(found[n].measures).items()},
            "prior": found[n].prior,
        }
        for n in order
    ]
    return {
        "ranking": rows,
        "refused": refused,
        "rows": len(some(data.train, spec.seed)),
        "seconds": seconds,
    }


def _known(value: float) -> float | None:
    """None for what there were too few rows to tell: JSON has no other word for it."""
    return None if math.isnan(value) else value


def _measured(context: Context, spec: AdaptationSpec, data: DataSet) -> list[Ranked]:
    request = check_request(by(spec, PROBE), context.plugins)
    work = begin(request, data, context)
    rows = some(data.train, spec.seed)
    folds = make_folds(rows, spec.seed, FOLDS) or make_folds(rows, spec.seed)
    targets, units = work.task.targets(rows.labels), unit_numbers(rows)
    arrays = features_for_a_guess(work, request.candidates, rows)
    if not all(np.isfinite(array).all() for array in arrays):
        raise UnsupportedError("what it says of some rows is no number")
    prior = _prior(spec.source, context.plugins)
    return [
        Ranked(spec.source, feature.name, measure(array, targets, folds, units), prior)
        for feature, array in zip(request.candidates, arrays, strict=True)
    ]


def _prior(source: str, plugins: Plugins) -> float | None:
    known = [one for name, _, one in plugins.sources.items_once() if name == source]
    return known[0].prior if known else None


def best_source(context: Context, spec: AdaptationSpec, data: DataSet) -> tuple[str, JSON]:
    """The source of the catalogue that is ranked first, of those that the spec's strategy can use,
    and the ranking."""
    plugins = context.plugins
    found, refused = usable(spec, catalogued(plugins.task(spec.task), plugins), plugins)
    ranking = rank_sources(context, spec, data, list(found))
    ranking["refused"] = {**refused, **ranking["refused"]}
    return str(ranking["ranking"][0]["source"]), ranking
