"""A source model of tables that knows nothing: the encoded columns as they are."""

import hashlib
from typing import TYPE_CHECKING, Any

from regraft import Feature, SourceModel, TensorSpec
from regraft_tabular.columns import TableInputs
from regraft_tabular.descriptor import PLAIN

if TYPE_CHECKING:
    from torch import nn

WIDTH = 512


def table_inputs(columns: list[dict[str, Any]], width: int) -> TableInputs:
    return TableInputs((TensorSpec("values", "FP32", ("batch", width)),), columns, width)


class PlainTable(SourceModel):
    """Columns are learnt from the training rows; a head on this is plain logistic regression."""

    name = PLAIN.name
    modality = "table"
    pretrained = False
    inputs = table_inputs([], WIDTH)
    features = (Feature("columns", "pooled", WIDTH),)

    def fingerprint(self) -> str:
        return hashlib.sha256(f"{PLAIN.name} {WIDTH}".encode()).hexdigest()

    def module(self, feature: Feature) -> "nn.Module":
        from regraft_tabular.layers import TableLayers

        return TableLayers([], [0])

    def details(self) -> dict[str, Any]:
        return {"licence": PLAIN.licence, "origin": PLAIN.origin, "parameters": 0}
