"""regraft: all that a plugin imports. Nothing inside regraft imports from here."""

from regraft.classification import Classification
from regraft.contract import (
    AudioInputs,
    Columns,
    Feature,
    FeatureForm,
    Folds,
    ImageInputs,
    Inputs,
    LinearHead,
    NoOptions,
    OwnHead,
    ParameterGroup,
    Rows,
    SourceDescriptor,
    SourceModel,
    Step,
    StrategyKind,
    Task,
    TensorSpec,
    TextInputs,
    TrainingPlan,
    TransferStrategy,
)
from regraft.domain import Adaptation, Event
from regraft.errors import InvalidInputError, RegraftError, TooLargeError, UnsupportedError
from regraft.file_rows import FileRows
from regraft.hookspecs import hookimpl
from regraft.package_file import PackageFile
from regraft.reference import (
    PixelOptions,
    Reference,
    SourceOptions,
    TrainablePixelOptions,
)
from regraft.row_numbers import numbers_rows

__version__ = "0.1.0"

__all__ = [
    "Adaptation",
    "AudioInputs",
    "Classification",
    "Columns",
    "Event",
    "Feature",
    "FeatureForm",
    "FileRows",
    "Folds",
    "ImageInputs",
    "Inputs",
    "InvalidInputError",
    "LinearHead",
    "NoOptions",
    "OwnHead",
    "PackageFile",
    "ParameterGroup",
    "PixelOptions",
    "Reference",
    "RegraftError",
    "Rows",
    "SourceDescriptor",
    "SourceModel",
    "SourceOptions",
    "Step",
    "StrategyKind",
    "Task",
    "TensorSpec",
    "TextInputs",
    "TooLargeError",
    "TrainablePixelOptions",
    "TrainingPlan",
    "TransferStrategy",
    "UnsupportedError",
    "hookimpl",
    "numbers_rows",
]
