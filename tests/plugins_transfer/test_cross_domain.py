"""Strategies across domains: what they make small is small where the domains are alike."""

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from regraft import Rows, Step
from regraft.testing.toy import toy_model
from regraft_transfer.coral import Coral
from regraft_transfer.dann import Adversarial, AdversarialOptions
from regraft_transfer.mcc import ConfusionOptions, MinimumConfusion
from regraft_transfer.mmd import MeanDiscrepancy
from regraft_transfer.pseudo_label import PseudoLabel, PseudoLabelOptions


def rows(features: Any, logits: Any | None = None) -> Rows:
    tensor = torch.as_tensor(features, dtype=torch.float32).requires_grad_()
    return Rows({}, tensor, tensor if logits is None else torch.as_tensor(logits).float())


def step(known: Rows, other: Rows, progress: float = 1.0, model: Any = None) -> Step:
    zero = torch.zeros(())
    targets = torch.zeros(len(known.logits), dtype=torch.long)
    given = (known.batch, known.features, known.logits, model, targets, zero, progress, other)
    return Step(*given)


def gap(kind: Any, known: Rows, other: Rows) -> float:
    made = kind(kind.Options(), 0)
    return float(made.loss(step(known, other)).detach())


def normal(seed: int, scale: float = 1.0, shift: float = 0.0) -> Any:
    return np.random.default_rng(seed).normal(shift, scale, (200, 3))


@pytest.mark.parametrize("kind", [Coral, MeanDiscrepancy])
def test_gap_is_small_between_draws_of_one_distribution(kind: Any) -> None:
    alike = gap(kind, rows(normal(0)), rows(normal(1)))
    wider = gap(kind, rows(normal(0)), rows(normal(1, scale=3)))
    assert alike < 0.1 * wider


def test_mmd_sees_a_shift_of_the_mean_and_coral_does_not() -> None:
    alike, moved = (rows(normal(1, shift=shift)) for shift in (0.0, 2.0))
    assert gap(MeanDiscrepancy, rows(normal(0)), moved) > 0.1
    assert gap(Coral, rows(normal(0)), moved) == pytest.approx(
        gap(Coral, rows(normal(0)), alike), abs=1e-3
    )


def test_discriminator_learns_and_the_backbone_unlearns() -> None:
    made = Adversarial(AdversarialOptions(width=4), 0)
    model = made.prepare(toy_model(0))
    sizes = (6, 16)
    known, other = rows(torch.randn(sizes) + 1), rows(torch.randn(sizes) - 1)
    loss = made.loss(step(known, other, 1.0, model))
    loss.backward()  # type: ignore[no-untyped-call]
    before = float(loss)
    with torch.no_grad():
        moved = [r.features - 10 * r.features.grad for r in (known, other)]
    after = float(made.loss(step(rows(moved[0].detach()), rows(moved[1].detach()), 1.0, model)))
    assert after > before, "a step against the gradient makes the domains harder to tell apart"
    groups = made.parameter_groups(model)
    assert len(groups[-1].parameters) == 4
    assert not hasattr(made.finish(model), "discriminator")


def test_discriminator_has_no_say_at_the_beginning() -> None:
    made = Adversarial(AdversarialOptions(width=4), 0)
    model = made.prepare(toy_model(0))
    known, other = rows(torch.randn(6, 16)), rows(torch.randn(6, 16))
    made.loss(step(known, other, 0.0, model)).backward()  # type: ignore[no-untyped-call]
    assert float(known.features.grad.abs().max()) == 0  # type: ignore[union-attr]


def test_confusion_is_that_of_the_paper() -> None:
    logits = np.array([[2.0, 0.0, -1.0], [0.5, 0.4, 0.0], [-1.0, 3.0, 0.0]])
    shares = np.exp(logits / 2.5)
    shares /= shares.sum(1, keepdims=True)
    weights = 1 + np.exp((shares * np.log(shares)).sum(1))
    weights *= 3 / weights.sum()
    together = shares.T @ (shares * weights[:, None])
    together /= together.sum(1, keepdims=True)
    expected = (together.sum() - np.trace(together)) / 3
    made = MinimumConfusion(ConfusionOptions(), 0)
    assert float(made.gap(step(rows(logits), rows(logits)), rows(logits))) == pytest.approx(
        expected, abs=1e-6
    )


def test_only_sure_answers_become_labels_and_more_so_later() -> None:
    made = PseudoLabel(PseudoLabelOptions(confidence=0.9), 0)
    unsure, sure = rows([[0.1, 0.0]]), rows([[4.0, 0.0]])
    assert float(made.gap(step(sure, unsure), unsure)) == 0
    early, late = (float(made.gap(step(sure, sure, p), sure)) for p in (0.0, 1.0))
    assert early == 0 < late


def test_without_rows_of_the_target_the_task_alone_is_learnt() -> None:
    made = Coral(Coral.Options(), 0)
    alone = step(rows(normal(0)), rows(normal(1)))
    assert float(made.loss(Step(**{**vars(alone), "unlabelled": None}))) == 0


def test_discriminator_leaves_no_trace_of_made_up_rows() -> None:
    model = toy_model(0).train()
    model.backbone = nn.Sequential(OrderedDict(norm=nn.BatchNorm1d(4), layer=nn.Linear(4, 16)))
    forward, model.example = model.backbone.forward, {"values": torch.randn(2, 4)}
    model.backbone.forward = lambda values: forward(values)  # type: ignore[method-assign]
    before = {name: tensor.clone() for name, tensor in model.backbone.state_dict().items()}
    made = Adversarial(AdversarialOptions(), 0).prepare(model)
    discriminator: Any = made.discriminator
    assert discriminator[0].in_features == 16
    assert made.backbone.training
    for name, tensor in made.backbone.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_rows_of_the_target_that_are_all_alike_do_not_outweigh_the_task() -> None:
    known, alike = rows(normal(0)), rows(np.ones((5, 3)))
    assert gap(Coral, known, alike) == pytest.approx(1, abs=1e-5)
    assert gap(Coral, alike, known) == pytest.approx(1, abs=1e-5)


def test_answers_without_any_doubt_are_not_confused() -> None:
    """A class that no row has anything of is mixed up with none."""
    sure = rows(np.zeros((4, 3)), logits=[[900.0, 0.0, -900.0]] * 4)
    assert gap(MinimumConfusion, rows(np.zeros((4, 3))), sure) == 0


def test_mmd_is_that_of_the_distances() -> None:
    one, other = normal(0), normal(1, shift=0.5)
    both = np.concatenate([one, other]).astype(np.float32)
    distances = ((both[:, None] - both[None]) ** 2).sum(-1)
    mean = distances.sum() / (400 * 399)
    kernel = np.mean([np.exp(-distances / (2.0**p * mean)) for p in range(-3, 2)], 0)
    expected = kernel[:200, :200].mean() + kernel[200:, 200:].mean() - 2 * kernel[:200, 200:].mean()
    assert gap(MeanDiscrepancy, rows(one), rows(other)) == pytest.approx(expected, abs=1e-5)
