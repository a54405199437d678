"""Several features of a source model as one."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from regraft import Feature, Inputs, SourceModel, TensorSpec, UnsupportedError
from regraft.export.frozen import frozen_backbone
from regraft.fusion import FusedSource
from regraft.registry.home import Home
from regraft.serving.predictor import Backbone
from regraft.serving.sessions import Runtime

LOW, HIGH = Feature("low", "pooled", 3), Feature("high", "pooled", 2)


class Layers(torch.nn.Module):
    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return values * 2, values[:, :2] + 1


class TwoLayers(SourceModel):
    name, modality = "two-layers", "table"
    inputs = Inputs((TensorSpec("values", "FP32", ("batch", 3)),))
    features = (LOW, HIGH)

    def fingerprint(self) -> str:
        return "f" * 64

    def candidates(self, form: str) -> tuple[Feature, ...]:
        return self.features

    def modules(self, features: Sequence[Feature]) -> torch.nn.Module:
        return Layers()


def test_joined_features_are_those_of_the_layers_side_by_side(tmp_path: Path) -> None:
    fused, home = FusedSource(TwoLayers(), (LOW, HIGH)), Home(tmp_path).create()
    (feature,) = fused.features
    assert (feature.form, feature.size) == ("pooled", 5)
    blob = frozen_backbone(fused, feature, home).blob
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    found = Backbone(home.blobs.path(blob.sha256), Runtime()).features({"values": values})
    np.testing.assert_allclose(found, np.hstack([values * 2, values[:, :2] + 1]))


def test_fingerprint_tells_which_features_are_joined() -> None:
    one = FusedSource(TwoLayers(), (LOW, HIGH)).fingerprint()
    assert one != FusedSource(TwoLayers(), (HIGH, LOW)).fingerprint()
    assert one != TwoLayers().fingerprint()


def test_one_place_to_end_leaves_nothing_to_join() -> None:
    with pytest.raises(UnsupportedError, match="nothing to join: take linear-probe"):
        FusedSource(TwoLayers(), (LOW,))
