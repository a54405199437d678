"""Parameter transfer: fine-tune everything, the lower layers more gently."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from regraft import Folds, ParameterGroup, TrainingPlan, TransferStrategy
from regraft_transfer.linear_probe import probe_loss

if TYPE_CHECKING:
    from regraft.model import TargetModel


class FullOptions(BaseModel):
    """Defaults of Devlin et al. 2019 for text; the head learns faster than the backbone. `feature`
    names where the backbone ends; None leaves it to the linear probe's cross-validation where the
    source model has several candidates. `keep_statistics` leaves the means of batch norms as the
    source model has them: those of small batches of few rows are worse."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    feature: str | None = None
    epochs: Annotated[int, Field(ge=1, le=100)] = 4
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 32
    learning_rate: Annotated[float, Field(gt=0)] = 5e-5
    head_rate: Annotated[float, Field(gt=0)] = 20.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    patience: Annotated[int, Field(ge=1)] = 2
    keep_statistics: bool = True


class Full(TransferStrategy):
    """All parameters of the backbone and the head are trained."""

    name = "full"
    kind = "parameter"
    summary = "Fine-tune the whole source model and a new head"
    paper = "Devlin et al. 2019, BERT"
    Options: ClassVar[type[BaseModel]] = FullOptions
    options: FullOptions

    def feature(self) -> str | None:
        return self.options.feature

    def cross_validate(self, features: Any, targets: Any, folds: Folds) -> float:
        """That of a linear probe: what is near to the answer is a good start."""
        return probe_loss(features, targets, folds)

    def plan(self) -> TrainingPlan:
        chosen = self.options
        return TrainingPlan(
            epochs=chosen.epochs,
            batch_size=chosen.batch_size,
            learning_rate=chosen.learning_rate,
            weight_decay=chosen.weight_decay,
            warmup=chosen.warmup,
            patience=chosen.patience,
        )

    def start_epoch(self, epoch: int, model: "TargetModel") -> None:
        from torch.nn.modules.batchnorm import _BatchNorm

        if self.options.keep_statistics:
            for module in model.backbone.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()

    def parameter_groups(self, model: "TargetModel") -> list[ParameterGroup]:
        return [
            ParameterGroup([p for p in model.backbone.parameters() if p.requires_grad]),
            ParameterGroup(list(model.head.parameters()), rate=self.options.head_rate),
        ]
