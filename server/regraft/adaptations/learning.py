"""What a strategy makes of the source model and the training rows."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from regraft.adaptations.budget import OF_BEGINNING, within_budget
from regraft.adaptations.choice import Choice, choose_feature
from regraft.adaptations.request import steps
from regraft.adaptations.training import Limits, Trained, on_ray, train_in
from regraft.adaptations.work import Work, features_of, fitted, frozen_features
from regraft.contract import Array, Feature, LinearHead, OwnHead
from regraft.domain import JSON, Blob, Examples
from regraft.export.graph import export_backbone
from regraft.features import features_by
from regraft.serving.predictor import SoftmaxHead

if TYPE_CHECKING:
    from torch import nn

    from regraft.model import TargetModel


@dataclass(frozen=True)
class Learnt:
    """A backbone, exported, and a head in the form in which it is served.

    `module` is the backbone that was trained; without one it is the source model's own, frozen.
    `parameters` learnt. With `gpu` its exported backbone is asked there. `fair` is what the same,
    before it learnt from the validation part, said of that part; None where it did not.
    `validation` are its metrics on that part and those of the model that it came after, where both
    were trained.
    """

    choice: Choice
    backbone: Blob
    head: "LinearHead | nn.Module"
    parameters: int = 0
    module: "nn.Module | None" = None
    gpu: bool = False
    fair: Array | None = None
    validation: tuple[JSON, JSON] | None = None

    @property
    def feature(self) -> Feature:
        return self.choice.feature

    def features(self, work: Work, part: Examples) -> Array:
        """What the backbone says of these rows [N, …]."""
        if self.module is None:
            return features_of(work, self.backbone, part, self.gpu)
        return _features(work, self.backbone, part, self.gpu)


def learn(work: Work) -> tuple[Work, Learnt]:
    """By the request's strategy, on the rows of the train part, or so many as the budget allows:
    the work as it was then."""
    if work.request.own is not None:
        return work, _nothing(work, work.request.own)
    choice, strategy = choose_feature(work), work.request.strategy
    if strategy.freezes_backbone:
        work = within_budget(work, choice.feature)
        return work, learn_frozen(work, choice)
    # A head that is fitted first is fitted to what the frozen backbone says of all rows.
    if any(one.freezes_backbone for one in steps(strategy, work.context.plugins)):
        work = within_budget(work, choice.feature, OF_BEGINNING)
    directory = work.context.registry.home.run(work.context.adaptation.id)
    what, limits = (strategy, choice.feature), Limits(work.context.deadline)
    return work, export_trained(work, choice, train_in(directory, work, what, on_ray, limits))


def learn_frozen(work: Work, choice: Choice | None = None) -> Learnt:
    """Feature transfer: the source's own graph, and a head fitted on what that very graph says.
    Without a choice one is made."""
    choice = choice or choose_feature(work)
    exported = work.exported(choice.feature)
    with work.context.stage("features"):
        features = frozen_features(work, choice.feature, work.data.train)
    with work.context.stage("train"):
        head = fitted(work, work.request.strategy, features)
    return Learnt(choice, exported, _served(work, head), _size(head))


def with_all_labels(work: Work, learnt: Learnt) -> Learnt:
    """A head that is a closed form, fitted again on the training and validation parts together.

    To be asked once the validation part has told all that it is for: the strategy, the precision
    and the confidence. What changes the backbone needs it to know when to stop (but see `refit`).
    """
    if work.request.own is not None or not work.request.strategy.fits_head:
        return learnt
    head = fitted_on_all(work, lambda part: learnt.features(work, part))
    return replace(learnt, head=head)


def fitted_on_all(work: Work, features: Callable[[Examples], Array]) -> "LinearHead | nn.Module":
    """The head that the request's strategy fits to these features of the training and validation
    parts together, as it is served."""
    data = work.data
    with work.context.stage("features"):
        parts = [features(part) for part in (data.train, data.validation)]
    whole = replace(work, data=replace(data, train=data.labelled))
    with work.context.stage("train"):
        return _served(work, fitted(whole, work.request.strategy, np.concatenate(parts)))


def outputs_of(work: Work, learnt: Learnt, part: Examples) -> Array:
    """What the model says of these rows, its confidence as it is."""
    return say(learnt.head, learnt.features(work, part))


def say(head: "LinearHead | nn.Module", features: Array) -> Array:
    """What a head that nobody serves yet says of features."""
    if isinstance(head, LinearHead):
        return SoftmaxHead(head.weight, head.bias)(features)
    import torch

    with torch.no_grad():
        return np.asarray(head.eval()(torch.from_numpy(features)))


def _nothing(work: Work, own: OwnHead) -> Learnt:
    """No transfer: the source model's own graph, and the head that it came with."""
    exported = work.exported(own.feature)
    return Learnt(Choice(own.feature), exported, own.module().eval())


def export_trained(work: Work, choice: Choice, trained: Trained) -> Learnt:
    """Every other transfer changes the backbone, which is exported anew."""
    with work.context.stage("export"):
        graph = export_backbone(trained.model.backbone, work.task.inputs, choice.feature)
        exported = work.context.registry.blobs.put(graph)

    def features() -> Array:
        with work.context.stage("features"):
            return _features(work, exported, work.data.train)

    head = head_of(work, trained.model, features)
    both = None if trained.earlier is None else (trained.metrics, trained.earlier)
    backbone = trained.model.backbone
    return Learnt(choice, exported, head, trained.parameters, backbone, validation=both)


def head_of(
    work: Work, model: "TargetModel", features: Callable[[], Array]
) -> "LinearHead | nn.Module":
    """The head that was trained, or one that is fitted on what the trained backbone says of the
    training rows; as it is served."""
    strategy = work.request.strategy
    if not strategy.refits_head:
        return work.task.serving_head(model.head)
    return _served(work, fitted(work, strategy, features()))


def _features(work: Work, backbone: Blob, part: Examples, gpu: bool = False) -> Array:
    (found,) = features_by(work.running(backbone, gpu), work.task, part.inputs)
    return found


def _served(work: Work, head: "LinearHead | nn.Module") -> "LinearHead | nn.Module":
    """A fitted head as it is served."""
    return head if isinstance(head, LinearHead) else work.task.serving_head(head)


def _size(head: "LinearHead | nn.Module") -> int:
    if isinstance(head, LinearHead):
        return head.weight.size + head.bias.size
    return sum(tensor.numel() for tensor in head.state_dict().values())
