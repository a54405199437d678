"""Classification of the rows of a table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from regraft import Classification, Columns, Inputs, InvalidInputError, TensorSpec
from regraft_tabular.columns import TableInputs, encode, learn_columns, size_of


class TabularClassification(Classification):
    """A label for a row, from all of its other columns."""

    name = "tabular-classification"
    modality = "table"
    summary = "One of 2 to 1,000 labels for each row of a table"
    inputs_type = TableInputs
    columns = Columns(
        input=(), label=("label", "class", "diagnosis", "outcome", "category", "target", "y")
    )
    records = True
    inputs: TableInputs

    @classmethod
    def completed(cls, inputs: Inputs, rows: Sequence[Any]) -> Inputs:
        """With the columns of the training rows, unless the source model has its own."""
        assert isinstance(inputs, TableInputs)
        if inputs.columns:
            _check_columns(inputs, rows[0])
            return inputs
        columns = learn_columns(rows)
        if not columns or size_of(columns) > inputs.width:
            raise InvalidInputError(
                f"The columns become {size_of(columns)} numbers a row; 1 to {inputs.width} can be "
                "used. Leave out columns that hold nothing, or many different texts."
            )
        return replace(inputs, columns=columns)

    def encode(self, rows: Sequence[Any]) -> dict[str, Any]:
        return {"values": encode(rows, self.inputs.columns, self.inputs.width)}

    def simple_baseline(self, seed: int) -> Any:
        """Gradient-boosted trees on the same numbers, which are hard to beat on tables."""
        from regraft_tabular.baseline import boosted_trees

        return boosted_trees(seed)

    def metrics(self, outputs: Any, targets: Any) -> dict[str, Any]:
        """Beside those of every classification: sensitivity, specificity and ROC AUC of each class
        against the others, and the mean ROC AUC."""
        found = super().metrics(outputs, targets)
        for number, row in enumerate(found["per_class"]):
            row |= one_against_others(
                outputs[:, number], outputs.argmax(1) == number, targets == number
            )
        areas = [row["roc_auc"] for row in found["per_class"] if row["roc_auc"] is not None]
        return {**found, "roc_auc": float(np.mean(areas)) if areas else 0.0}

    def request_tensors(self) -> tuple[TensorSpec, ...]:
        """A tensor for each column; a number that is missing is NaN, a text is empty."""
        return tuple(
            TensorSpec(
                column["name"], "FP32" if column["kind"] == "number" else "BYTES", ("batch",)
            )
            for column in self.inputs.columns
        )

    def rows(self, tensors: Any) -> list[Any]:
        lengths = {len(array) for array in tensors.values()}
        if len(lengths) > 1:
            raise InvalidInputError("All columns must have as many rows.")
        (count,) = lengths
        return [
            {name: _cell(array.reshape(-1)[row]) for name, array in tensors.items()}
            for row in range(count)
        ]

    def read_inputs(self, inputs: Sequence[Any]) -> list[Any]:
        """Objects with a field for each column, or the JSON text of one; null is missing."""
        return [self._checked(item) for item in inputs]

    def _checked(self, item: Any) -> Mapping[str, Any]:
        row = _object(item)
        names = [column["name"] for column in self.inputs.columns]
        missing = [name for name in names if name not in row]
        if missing:
            raise InvalidInputError(
                f"A row lacks {', '.join(missing[:5])}; null stands for what is not known. "
                f"The columns: {', '.join(names)}."
            )
        for name in names:
            if not isinstance(row[name], str | int | float | bool | None):
                raise InvalidInputError(f"'{name}' must be a number, a text or null.")
        return row


def one_against_others(scores: Any, predicted: Any, actual: Any) -> dict[str, float | None]:
    """Sensitivity, specificity, and the area under the ROC curve (Hanley & McNeil 1982): how often
    a row of the class is scored above another. None where there is no row to tell."""
    from scipy.stats import rankdata

    inside, outside = int(actual.sum()), int((~actual).sum())
    ranks = rankdata(scores)[actual].sum() - inside * (inside + 1) / 2
    return {
        "sensitivity": float(predicted[actual].mean()) if inside else None,
        "specificity": float(1 - predicted[~actual].mean()) if outside else None,
        "roc_auc": float(ranks / (inside * outside)) if inside and outside else None,
    }


def _check_columns(inputs: TableInputs, row: Mapping[str, Any]) -> None:
    missing = [column["name"] for column in inputs.columns if column["name"] not in row]
    if missing:
        raise InvalidInputError(
            "The data lacks columns that the source model was trained on: "
            f"{', '.join(missing[:9])}."
        )


def _cell(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise InvalidInputError("A column holds bytes that are not UTF-8.") from error
    return None if np.isnan(value) else float(value)


def _object(item: Any) -> Mapping[str, Any]:
    try:
        found = json.loads(item) if isinstance(item, str) else item
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"A row is no JSON object: {error}.") from error
    if not isinstance(found, dict):
        raise InvalidInputError("'inputs' must be a list of objects with a field for each column.")
    return found
