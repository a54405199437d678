"""The model in training: a backbone and a head. The only module of the contract with torch."""

from torch import Tensor, nn


class TargetModel(nn.Module):
    """A backbone that gives a feature, and a head that turns it into outputs.

    `forward` takes the source model's input tensors by name and returns `(features, outputs)`.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, **inputs: Tensor) -> tuple[Tensor, Tensor]:
        features = self.backbone(**inputs)
        return features, self.head(features)
