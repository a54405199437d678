"""The parity gate."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regraft.contract import Array, LinearHead
from regraft.errors import RunFailedError
from regraft.export.frozen import frozen_backbone
from regraft.export.parity import ROWS, _agreement, check_parity, parity_rows, torch_outputs
from regraft.plugins import Plugins
from regraft.registry.home import Home
from regraft.serving.predictor import Backbone, SoftmaxHead
from regraft.serving.sessions import Runtime
from regraft_text.classification import TextClassification

TEXTS = ["good", "bad " * 3, "a fine film", "awful " * 9, "the film was great and lovely"]


def outputs(rows: Sequence[Any]) -> Array:
    return np.array([[len(row) / 100, 0.5] for row in rows])


def test_graphs_that_agree_pass_with_their_figures() -> None:
    parity = check_parity(outputs, lambda rows: outputs(rows) + 1e-5, TEXTS, most=4)
    assert parity.max_abs_diff == pytest.approx(1e-5)
    assert parity.as_dict()["batches"] == [1, 2, 4]
    assert (parity.argmax_agreement, parity.rows) == (1, 5)


@pytest.mark.parametrize(
    "changed",
    [
        lambda found: found + 2e-3,
        lambda found: found * np.nan,
        lambda found: np.where(np.arange(len(found))[:, None] == 3, 1.0, found),
    ],
    ids=["all a little", "not a number", "one row of a full batch"],
)
def test_graphs_that_differ_are_not_published(changed: Any) -> None:
    with pytest.raises(RunFailedError, match="it is not published"):
        check_parity(outputs, lambda rows: changed(outputs(rows)), TEXTS, most=4)


def test_model_that_says_not_a_number_is_refused_though_its_graph_agrees() -> None:
    def nothing(rows: Sequence[Any]) -> Array:
        return outputs(rows) * np.nan

    with pytest.raises(RunFailedError, match="differs from the trained one by nan"):
        check_parity(nothing, nothing, TEXTS, most=4)


def test_another_best_label_is_refused_however_near_it_is() -> None:
    def tie(sign: float) -> Any:
        return lambda rows: np.tile([0.5 + sign * 1e-6, 0.5], (len(rows), 1))

    with pytest.raises(RunFailedError, match=r"agrees on 0\.0% of 5 rows"):
        check_parity(tie(1), tie(-1), TEXTS, most=4)


def test_rows_are_the_shortest_the_longest_and_some_between(plugins: Plugins) -> None:
    task = plugins.task("text-classification")
    rows = ["x" * n for n in range(1, 1000)]
    made = task.__new__(task)
    chosen = sorted(map(len, parity_rows(rows, made)))
    assert (len(chosen), chosen[0], chosen[-1]) == (ROWS, 1, 999)
    assert max(np.diff(chosen)) <= 17


def test_real_graph_passes_and_a_wrong_head_does_not(
    tiny_bert: Path, exported: Home, plugins: Plugins
) -> None:
    source = plugins.open_source(str(tiny_bert))
    feature = source.features[0]
    task = TextClassification(source.inputs, ("a", "b"))
    blob = frozen_backbone(source, feature, exported).blob
    backbone = Backbone(exported.blobs.path(blob.sha256), Runtime())
    weight = np.random.default_rng(0).normal(size=(2, feature.size)).astype(np.float32)
    head, wrong = (LinearHead(w, np.zeros(2, np.float32)) for w in (weight, weight * 1.1))
    module = source.module(feature)
    assert module is not None
    reference = torch_outputs(module, head, task)

    def served(head: LinearHead) -> Any:
        form = SoftmaxHead(head.weight, head.bias)
        return lambda rows: form(backbone.features(task.encode(rows)))

    assert check_parity(reference, served(head), TEXTS, most=4).max_abs_diff < 1e-5
    with pytest.raises(RunFailedError):
        check_parity(reference, served(wrong), TEXTS, most=4)


def test_near_ties_of_single_pixels_do_not_count_but_those_of_rows_do() -> None:
    row = np.array([[0.5, 0.5 + 1e-7]])
    assert _agreement(row, row[:, ::-1]) == 0
    pixels = np.broadcast_to(np.array([[[0.9]], [[0.1]]]), (1, 2, 1, 4)).copy()
    swapped = pixels.copy()
    pixels[0, :, 0, 0] = swapped[0, ::-1, 0, 0] = (0.5, 0.5 + 1e-7)
    assert _agreement(pixels, swapped) == 1
    assert _agreement(pixels, pixels[:, ::-1]) == 0
