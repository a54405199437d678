"""The contract of a plugin: source models, tasks and transfer strategies."""

from regraft.contract.inputs import (
    Array,
    Arrays,
    AudioInputs,
    ImageInputs,
    Inputs,
    TensorSpec,
    TextInputs,
)
from regraft.contract.source import (
    Feature,
    FeatureForm,
    LinearHead,
    OwnHead,
    SourceDescriptor,
    SourceModel,
)
from regraft.contract.strategy import (
    Folds,
    NoOptions,
    ParameterGroup,
    Rows,
    Step,
    StrategyKind,
    TrainingPlan,
    TransferStrategy,
)
from regraft.contract.task import (
    Columns,
    Task,
)

__all__ = [
    "Array",
    "Arrays",
    "AudioInputs",
    "Columns",
    "Feature",
    "FeatureForm",
    "Folds",
    "ImageInputs",
    "Inputs",
    "LinearHead",
    "NoOptions",
    "OwnHead",
    "ParameterGroup",
    "Rows",
    "SourceDescriptor",
    "SourceModel",
    "Step",
    "StrategyKind",
    "Task",
    "TensorSpec",
    "TextInputs",
    "TrainingPlan",
    "TransferStrategy",
]
