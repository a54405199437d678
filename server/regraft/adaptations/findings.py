"""Findings about the data, from what the frozen source model says of the rows."""

from collections.abc import Iterator, Mapping

import numpy as np
from threadpoolctl import threadpool_limits

from regraft.adaptations.learning import say
from regraft.adaptations.work import Work, frozen_features
from regraft.contract import Array, Feature, LinearHead
from regraft.data.folds import make_folds, unit_numbers
from regraft.domain import JSON, Examples
from regraft.evaluation.findings import (
    MOST_ROWS,
    Side,
    label_errors,
    listed,
    near_duplicates,
    shift,
)

MOST_SUSPECTS = 50
MARKED = 0.75
"""The area under the ROC curve from which a shift is told of."""
MOST_PAIRS = 10**9
"""Pairs of rows of two parts that are compared, in some twenty seconds of a processor; of larger
parts some rows are looked for."""
COMPARED = (("test", "train"), ("test", "validation"), ("validation", "train"))
"""Which part's rows are looked for in which: a closed form learns from the validation part too."""
CALLED = {"train": "training", "validation": "validation"}


def find_findings(work: Work, feature: Feature) -> list[JSON]:
    """Near duplicates across parts, suspected label errors, and shift: each a sentence with its
    kind and figures. The work is that of a linear probe, which ends at this feature; empty where
    the source model says no vector of a row."""
    if work.task.form != "pooled" or not work.task.calibrates:
        return []
    with work.context.stage("findings"):
        parts = {name: getattr(work.data, name) for name in ("train", "validation", "test")}
        known = {name: frozen_features(work, feature, part) for name, part in parts.items()}
        return [
            *_duplicates(work, known),
            *_suspects(work, known["train"]),
            *_shifts(work, feature, known["test"]),
        ]


def _duplicates(work: Work, features: Mapping[str, Array]) -> Iterator[JSON]:
    rng = np.random.default_rng(work.request.spec.seed)
    for part, other in COMPARED:
        most = MOST_PAIRS // max(1, len(features[other]))
        some = rng.permutation(len(features[part]))[:most]
        with threadpool_limits(work.threads):
            found = near_duplicates(features[other], features[part][some], work.task.records)
        rows = sorted(getattr(work.data, part).take(some[found]).numbers)
        if rows:
            text = (
                f"{len(rows):,} of {len(some):,} {part} rows are nearly the same as a "
                f"{CALLED[other]} row, so that the {part} part is easier than what is to come: "
                f"rows {listed(rows)}"
            )
            yield {"kind": "near-duplicates", "text": text, "between": [part, other], "rows": rows}


def _suspects(work: Work, features: Array) -> Iterator[JSON]:
    """Of the target's rows alone: those of the source domain are in another file."""
    data, targets = work.data, work.task.targets(work.data.train.labels)
    probabilities = _out_of_fold(work, features, targets)
    own = len(data.train) - data.borrowed
    found = [one for one in label_errors(probabilities, targets) if one.row < own or not own]
    if not found:
        return
    rows = [
        {
            "row": data.train.numbers[one.row],
            "label": data.train.labels[one.row],
            "suggested": data.labels[one.suggested],
            "margin": one.margin,
        }
        for one in found[:MOST_SUSPECTS]
    ]
    clearest = "; ".join(f"row {r['row']}: {r['label']} or {r['suggested']}?" for r in rows[:5])
    text = f"{len(found):,} labels of the training part may be wrong. {clearest}"
    yield {"kind": "label-errors", "text": text, "rows": rows, "count": len(found)}


def _out_of_fold(work: Work, features: Array, targets: Array) -> Array:
    """Probabilities [N, C] of the probe for rows it has not seen; nan for rows in no fold."""
    found = np.full((len(targets), len(work.data.labels)), np.nan)
    for known, held_out in make_folds(work.data.train, work.request.spec.seed):
        classes, numbers = np.unique(targets[known], return_inverse=True)
        head = work.request.strategy.fit(features[known], numbers, ())
        assert isinstance(head, LinearHead)
        found[held_out] = 0
        found[np.ix_(held_out, classes)] = say(head, features[held_out])
    return found


def _shifts(work: Work, feature: Feature, test: Array) -> Iterator[JSON]:
    data, seed = work.data, work.request.spec.seed
    named = {"source domain": data.source, "unlabelled": data.unlabelled}
    if work.request.spec.test is not None and work.request.spec.data is not None:
        named["train"] = _own(work)
    there = Side(test, unit_numbers(data.test))
    for name, part in named.items():
        if part is None:
            continue
        if name != "train":  # of which the features are known
            part = part.take(np.random.default_rng(seed).permutation(len(part))[:MOST_ROWS])
        here = Side(frozen_features(work, feature, part), unit_numbers(part))
        area = shift(here, there, seed)
        if area is None:
            continue
        said = "differ" if area >= MARKED else "are alike"
        text = (
            f"the {name} and the test rows {said}: a linear classifier tells them apart with an "
            f"area under its curve of {area:.2f} (.5 is no shift)"
        )
        yield {"kind": "shift", "text": text, "between": [name, "test"], "area": area}


def _own(work: Work) -> Examples:
    """The training rows of the target."""
    return work.data.train.take(range(len(work.data.train) - work.data.borrowed))
