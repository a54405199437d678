"""A source model of tables that learnt from a related table: a perceptron of two hidden layers."""

import csv
import hashlib
import warnings
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from regraft import (
    Feature,
    FeatureForm,
    InvalidInputError,
    Reference,
    SourceModel,
    SourceOptions,
    numbers_rows,
)
from regraft_tabular.columns import encode, learn_columns, size_of
from regraft_tabular.source import table_inputs

if TYPE_CHECKING:
    from torch import nn

HIDDEN = (128, 64)
EPOCHS = 200
EXPECTED = "table:FILE.csv#LABEL-COLUMN"


def open_related(reference: str, parsed: Reference) -> SourceModel:
    options = parsed.read(SourceOptions)
    path = Path(parsed.target).expanduser()
    if path.suffix.lower() != ".csv" or not path.is_file() or not parsed.part:
        found = f"there is no CSV file {path}" if parsed.part else "the label column is missing"
        raise InvalidInputError(f"'{reference}': {found}. Expected: {EXPECTED}.")
    return RelatedTable(reference, path, parsed.part, options.untrained)


class RelatedTable(SourceModel):
    """Trained when it is first used, the same each time. The target's rows must have its columns;
    others of theirs are not used."""

    modality = "table"

    def __init__(self, reference: str, path: Path, label: str, untrained: bool = False) -> None:
        self.name = reference
        self.path = path
        self.label = label
        self.untrained = untrained
        self.rows, self.labels = _read(path, label)
        self.columns = learn_columns(self.rows)
        self.width = size_of(self.columns)
        if not self.columns:
            raise InvalidInputError(f"{path} has no column that could tell '{label}'.")
        self.inputs = table_inputs(self.columns, self.width)
        sizes = {"hidden-2": HIDDEN[1], "hidden-1": HIDDEN[0], "columns": self.width}
        self.features = tuple(Feature(name, "pooled", size) for name, size in sizes.items())

    def candidates(self, form: FeatureForm) -> tuple[Feature, ...]:
        return self.features if form == "pooled" else super().candidates(form)

    def fingerprint(self) -> str:
        whole = hashlib.sha256(self.path.read_bytes())
        epochs = 0 if self.untrained else EPOCHS
        whole.update(f"{self.label} {HIDDEN} {epochs}".encode())
        return whole.hexdigest()

    @cached_property
    def weights(self) -> list[tuple[Any, Any]]:
        """Weight and bias of each hidden layer."""
        if self.untrained:
            return _drawn((self.width, *HIDDEN))
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier

        model = MLPClassifier(HIDDEN, alpha=1e-3, max_iter=EPOCHS, random_state=0)
        with warnings.catch_warnings():  # so many epochs and no more are meant
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(encode(self.rows, self.columns, self.width), self.labels)
        return list(zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True))

    def module(self, feature: Feature) -> "nn.Module":
        return self.modules((feature,))

    def modules(self, features: Sequence[Feature]) -> "nn.Module":
        from regraft_tabular.layers import TableLayers

        depths = [2 - self.features.index(feature) for feature in features]
        return TableLayers(self.weights, depths)

    def details(self) -> dict[str, Any]:
        return {
            "licence": "that of the table",
            "origin": str(self.path),
            "architecture": f"perceptron {self.width}-{HIDDEN[0]}-{HIDDEN[1]}",
            "columns": ", ".join(column["name"] for column in self.columns),
        }


def _drawn(sizes: Sequence[int]) -> list[tuple[Any, Any]]:
    """Weights that know nothing, the same each time. Source: He et al. 2015, Delving Deep into
    Rectifiers."""
    rng = np.random.default_rng(0)
    scaled = [rng.normal(0, np.sqrt(2 / one), (one, two)) for one, two in pairwise(sizes)]
    return [(weight, np.zeros(weight.shape[1])) for weight in scaled]


def _read(path: Path, label: str) -> tuple[list[dict[str, str]], list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, restval=""))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInputError(f"{path} cannot be read as a CSV: {error}.") from error
    if not rows or label not in rows[0]:
        raise InvalidInputError(f"{path} has no column '{label}', or no rows.")
    ragged = [number for number, row in enumerate(rows, 1) if None in row]
    if ragged:
        raise InvalidInputError(f"Row {ragged[0]} of {path} has more cells than the header.")
    for name in [name for name in rows[0] if numbers_rows(name, [row[name] for row in rows])]:
        for row in rows:
            del row[name]
    labels = [row.pop(label) for row in rows]
    if len(set(labels)) < 2:
        raise InvalidInputError(f"Every row of {path} has the same '{label}'.")
    return rows, labels
