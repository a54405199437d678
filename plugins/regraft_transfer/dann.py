"""Cross-domain transfer: features that do not tell which domain a row is from."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from regraft import ParameterGroup, Rows, Step
from regraft_transfer.cross_domain import CrossDomain, CrossDomainOptions, ramp

if TYPE_CHECKING:
    from torch import Tensor

    from regraft.model import TargetModel


class AdversarialOptions(CrossDomainOptions):
    """`width` is that of the layer between the features and the answer of the discriminator."""

    width: Annotated[int, Field(ge=1, le=4096)] = 256


class Adversarial(CrossDomain):
    """A discriminator learns to tell the domains apart, and the backbone, through a gradient that
    is turned round, to leave it nothing to tell them by."""

    name = "dann"
    summary = "Fine-tune while a discriminator loses track of which domain a row is from"
    paper = "Ganin & Lempitsky 2015, Unsupervised Domain Adaptation by Backpropagation"
    Options = AdversarialOptions
    options: AdversarialOptions

    def prepare(self, model: "TargetModel") -> "TargetModel":
        from torch import nn

        width = self.options.width
        layers = (nn.Linear(model.feature_size(), width), nn.ReLU(), nn.Linear(width, 1))
        model.discriminator = nn.Sequential(*layers)
        return model

    def parameter_groups(self, model: "TargetModel") -> list[ParameterGroup]:
        added: Any = model.discriminator
        own = ParameterGroup(list(added.parameters()), self.options.head_rate)
        return [*super().parameter_groups(model), own]

    def gap(self, step: Step, target: Rows) -> "Tensor":
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits

        strength = ramp(step.progress)
        rows = torch.cat([step.features, target.features])
        # Its value is that of the features, its gradient theirs turned round.
        turned = (1 + strength) * rows.detach() - strength * rows
        told: Any = step.model.discriminator
        domains = (torch.arange(len(rows), device=rows.device) >= len(step.features)).float()
        return binary_cross_entropy_with_logits(told(turned).squeeze(-1), domains)

    def finish(self, model: "TargetModel") -> "TargetModel":
        del model.discriminator
        return model
