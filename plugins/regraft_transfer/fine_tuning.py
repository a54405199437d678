"""What every strategy shares that trains the backbone by gradient."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from regraft import Folds, ParameterGroup, StrategyKind, TrainingPlan, TransferStrategy
from regraft_transfer.logistic import probe_loss

if TYPE_CHECKING:
    from regraft.model import TargetModel

Rate = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Strength = Annotated[float, Field(ge=0)]
Steps = Annotated[int, Field(ge=0, le=100_000)]


class FineTuningOptions(BaseModel):
    """Defaults near those of Devlin et al. 2019; the head learns faster than the backbone.

    `feature` names where the backbone ends; None leaves it to the linear probe's cross-validation
    where the source model has several candidates. `layer_decay` multiplies the rate once for each
    layer below the top. Few rows are passed over until there were `least_steps` (Mosbach et al.
    2021: few labels want many epochs), in batches of at most `batch_share` of them: with 16 or 32
    rows that is as good as all at once, or better, in a half to a third of the time.
    `keep_statistics` leaves the means of batch norms as the source model has them: those of small
    batches of few rows are worse.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    feature: str | None = None
    epochs: Annotated[int, Field(ge=1, le=100)] = 4
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 32
    batch_share: Share = 0.25
    least_steps: Steps = 60
    learning_rate: Rate = 5e-5
    head_rate: Rate = 20.0
    layer_decay: Share = 1.0
    weight_decay: Strength = 0.01
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    patience: Annotated[int, Field(ge=1)] = 2
    keep_statistics: bool = True


class FineTuning(TransferStrategy):
    """Each layer of the backbone and the head is trained at a rate of its own."""

    kind: ClassVar[StrategyKind] = "parameter"
    Options: ClassVar[type[BaseModel]] = FineTuningOptions
    options: FineTuningOptions

    def feature(self) -> str | None:
        return self.options.feature

    def cross_validate(self, features: Any, targets: Any, folds: Folds) -> float:
        """That of a linear probe: what is near to the answer is a good start."""
        return probe_loss(features, targets, folds)

    def plan(self) -> TrainingPlan:
        names = TrainingPlan.__dataclass_fields__.keys() & type(self.options).model_fields.keys()
        return TrainingPlan(**{name: getattr(self.options, name) for name in names})

    def start_epoch(self, epoch: int, model: "TargetModel") -> None:
        from torch.nn.modules.batchnorm import _BatchNorm

        if self.options.keep_statistics:
            for module in model.backbone.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()

    def parameter_groups(self, model: "TargetModel") -> list[ParameterGroup]:
        from regraft.model import levels

        head = [p for p in model.head.parameters() if p.requires_grad]
        found, decay = levels(model.backbone), self.options.layer_decay
        rates = [decay ** (len(found) - n) for n in range(1, len(found) + 1)]
        groups = [ParameterGroup(*pair) for pair in zip(found, rates, strict=True)]
        return [*groups, ParameterGroup(head, self.options.head_rate)]
