"""What single strategies do to a model."""

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from regraft import Step, UnsupportedError
from regraft.model import TargetModel
from regraft.testing.toy import toy_model
from regraft_transfer import register_strategies
from regraft_transfer.bitfit import BitFit, BitFitOptions
from regraft_transfer.contrastive import Contrastive, ContrastiveOptions
from regraft_transfer.distillation import Distillation, DistillationOptions
from regraft_transfer.gradual_unfreezing import GradualUnfreezing, GradualUnfreezingOptions
from regraft_transfer.knn import NeighbourOptions, Neighbours
from regraft_transfer.l2_sp import StartingPoint, StartingPointOptions
from regraft_transfer.last_k import LastLayers, LastLayersOptions
from regraft_transfer.prototype import Prototype, PrototypeOptions
from regraft_transfer.scratch import Scratch, ScratchOptions
from regraft_transfer.soup import Soup, SoupOptions
from regraft_transfer.voting import LEAST, SMOOTHING
from regraft_transfer.wise_ft import WeightEnsemble, WeightEnsembleOptions


def learning(model: TargetModel) -> list[str]:
    return [name for name, p in model.backbone.named_parameters() if p.requires_grad]


def step(model: TargetModel, targets: list[int], features: Any = None) -> Step:
    """A step of made-up rows, or of rows with these features."""
    wanted = torch.tensor(targets)
    found, logits = model.eval()(**model.example)
    chosen = found if features is None else torch.tensor(features)
    loss = nn.functional.cross_entropy(logits, wanted) if features is None else torch.tensor(0.0)
    return Step(model.example, chosen, logits, model, wanted, loss, 0.5)


def test_a_strategy_is_a_short_file() -> None:
    files = {kind.name: Path(inspect.getfile(kind)) for kind in register_strategies()}
    lines = {name: len(file.read_text().splitlines()) for name, file in files.items()}
    assert len(lines) > 20
    assert {name: count for name, count in lines.items() if count > 60} == {}


def test_bitfit_knows_the_biases_of_recurrent_layers() -> None:
    model = TargetModel(nn.LSTM(2, 2), nn.Linear(2, 2))
    assert learning(BitFit(BitFitOptions(), 0).prepare(model)) == ["bias_ih_l0", "bias_hh_l0"]


def test_bitfit_trains_biases_alone() -> None:
    names = learning(BitFit(BitFitOptions(), 0).prepare(toy_model(0)))
    assert names
    assert all(name.endswith("bias") for name in names)


def test_last_k_trains_the_last_layers_alone() -> None:
    names = learning(LastLayers(LastLayersOptions(layers=1), 0).prepare(toy_model(0)))
    assert {name.split(".")[1] for name in names} == {"3"}


def test_gradual_unfreezing_wakes_the_top_first() -> None:
    strategy = GradualUnfreezing(GradualUnfreezingOptions(thawed=0.5), 0)
    *lower, head = strategy.parameter_groups(toy_model(0))
    assert [round(group.start, 3) for group in lower] == [0.5, 0.4, 0.3, 0.2, 0.1]
    assert head.start == 0
    assert [round(group.rate, 3) for group in lower[-2:]] == [0.385, 1.0]


def test_l2_sp_is_nothing_where_nothing_moved_but_the_heads_size() -> None:
    model = toy_model(0)
    strategy = StartingPoint(StartingPointOptions(backbone=2, head=0), 0)
    now = step(strategy.prepare(model), [0, 1])
    assert torch.equal(strategy.loss(now), now.task_loss)
    with torch.no_grad():
        model.backbone.layer[0].dense.bias += 1
    assert torch.isclose(strategy.loss(now) - now.task_loss, torch.tensor(16.0))


def test_l2_sp_of_a_backbone_without_weights_is_of_the_head_alone() -> None:
    model = toy_model(0)
    now = step(model, [0, 1])
    model.backbone = nn.Identity()  # such as the columns of a table
    strategy = StartingPoint(StartingPointOptions(backbone=2, head=0), 0)
    strategy.prepare(model)
    assert torch.equal(strategy.loss(now), now.task_loss)


def test_wise_ft_ends_half_way() -> None:
    strategy = WeightEnsemble(WeightEnsembleOptions(alpha=0.25), 0)
    model = strategy.prepare(toy_model(0))
    before = model.head.bias.detach().clone()
    with torch.no_grad():
        model.head.bias += 4
    assert torch.allclose(strategy.finish(model).head.bias, before + 1)


def test_distillation_wants_the_teachers_answers() -> None:
    strategy = Distillation(DistillationOptions(hard=0), 0)
    student = strategy.prepare(toy_model(0))
    now = step(student, [0, 1])
    assert strategy.loss(now) > 0
    same = replace(now, logits=toy_model(0).eval()(**student.example)[1])
    assert torch.isclose(strategy.loss(same), torch.tensor(0.0), atol=1e-6)


def test_contrastive_loss_is_least_where_classes_are_apart() -> None:
    strategy, model = Contrastive(ContrastiveOptions(), 0), toy_model(0)
    apart = step(model, [0, 0, 1, 1], [[1.0, 0], [2, 0], [0, 1], [0, 3]])
    assert torch.isclose(strategy.loss(apart), torch.tensor(0.0), atol=1e-6)
    mixed = replace(apart, targets=torch.tensor([0, 1, 0, 1]))
    assert torch.isclose(strategy.loss(mixed), torch.tensor(0.75))
    alone = replace(apart, features=torch.tensor([[1.0, 0]]), targets=torch.tensor([0]))
    assert strategy.loss(alone) == 0


def rows() -> tuple[Any, Any]:
    rng, targets = np.random.default_rng(0), np.arange(30) % 3
    features = np.eye(4)[targets] * 3 + rng.normal(size=(30, 4))
    return features.astype(np.float32), targets


def test_knn_weighs_the_nearest_rows_by_how_near_they_are() -> None:
    features, targets = rows()
    head: Any = Neighbours(NeighbourOptions(neighbours=3), 0).fit(features, targets, ())
    shares = head(torch.from_numpy(features)).exp()
    assert torch.allclose(shares.sum(1), torch.ones(30))
    standard = (features - features.mean(0)) / features.std(0)
    unit = standard / np.linalg.norm(standard, axis=1, keepdims=True)
    similar = np.sort(unit @ unit[0])[::-1]
    order = np.argsort(unit @ unit[0])[::-1][:3]
    weights = (similar[:3] - similar[3]) / (similar[0] - similar[3] + LEAST)
    votes = np.bincount(targets[order], weights, minlength=3) + SMOOTHING
    np.testing.assert_allclose(shares[0], votes / votes.sum(), atol=1e-5)


def test_knn_does_not_jump_where_two_rows_are_as_near() -> None:
    features = np.eye(4, dtype=np.float32)
    head: Any = Neighbours(NeighbourOptions(neighbours=1), 0).fit(features, np.arange(4) % 2, ())
    between = torch.tensor([[0.5 + 1e-6, 0.5 - 1e-6, 0, 0], [0.5 - 1e-6, 0.5 + 1e-6, 0, 0]])
    one, other = head(between).exp()
    assert torch.allclose(one, other, atol=1e-3)


def test_knn_of_fewer_rows_than_neighbours_lets_all_vote() -> None:
    features, targets = rows()
    few: Any = Neighbours(NeighbourOptions(), 0).fit(features[:3], targets[:3], ())
    assert few(torch.from_numpy(features)).shape == (30, 3)


def test_knn_does_not_mind_a_dimension_that_never_varied_in_training() -> None:
    features, targets = rows()
    still = np.zeros((30, 1), np.float32)
    head: Any = Neighbours(NeighbourOptions(), 0).fit(np.hstack([features, still]), targets, ())
    plain, moved = (
        head(torch.from_numpy(np.hstack([features, still + value]))) for value in (0, 0.05)
    )
    assert torch.equal(plain, moved)


def test_prototype_tells_the_nearest_mean() -> None:
    features, targets = rows()
    head = Prototype(PrototypeOptions(), 0).fit(features, targets, ())
    standard = (features - features.mean(0)) / features.std(0)
    centres = np.stack([standard[targets == c].mean(0) for c in range(3)])
    nearest = np.square(standard[:, None] - centres).sum(2).argmin(1)
    assert np.array_equal((features @ head.weight.T + head.bias).argmax(1), nearest)


def bias(model: TargetModel) -> float:
    return float(next(iter(model.head.parameters())).flatten()[0])


def with_bias(value: float) -> TargetModel:
    model = toy_model(0)
    next(iter(model.head.parameters())).data.fill_(value)
    return model


def test_soup_has_an_ingredient_for_each_rate() -> None:
    made = Soup(SoupOptions(learning_rate=1e-4, epochs=7), 5).ingredients()
    assert [one.plan().learning_rate for one in made] == pytest.approx([5e-5, 1e-4, 2e-4])
    assert {one.plan().epochs for one in made} == {7}
    assert [one.seed for one in made] == [5, 6, 7]


def test_soup_is_the_mean_of_the_models_that_make_it_better() -> None:
    models = [with_bias(value) for value in (4.0, 1.0, 9.0)]
    soup = Soup(SoupOptions(), 0).mix(models, lambda model: -abs(bias(model) - 2))
    assert bias(soup) == pytest.approx(2.5), "of 1 and 4; 9 would make it worse"
    assert [bias(model) for model in models] == [4, 1, 9]


def test_last_k_of_a_backbone_without_that_many_levels_is_refused() -> None:
    """It would be a fine-tuning of all."""
    strategy = LastLayers(LastLayersOptions(layers=1), 0)
    assert strategy.check(toy_model(0)) is None
    plain = TargetModel(nn.Linear(2, 2), nn.Linear(2, 2))
    assert "take full" in str(strategy.check(plain))


def test_contrastive_wants_weights_that_learn() -> None:
    strategy = Contrastive(ContrastiveOptions(), 0)
    assert strategy.check(toy_model(0)) is None
    assert strategy.check(TargetModel(nn.Identity(), nn.Linear(2, 2))) is not None


def test_from_scratch_batch_norms_must_learn() -> None:
    model = toy_model(0)
    assert Scratch(ScratchOptions(), 0).prepare(model) is model
    model.backbone.keeps_statistics = torch.tensor(True)
    with pytest.raises(UnsupportedError, match="batch norms keep the statistics"):
        Scratch(ScratchOptions(), 0).prepare(model)
