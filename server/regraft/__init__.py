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
    SourceDescriptor,
    SourceModel,
    Step,
    Task,
    TensorSpec,
    TextInputs,
    TrainingPlan,
    TransferStrategy,
)
from regraft.domain import Adaptation, Event
from regraft.errors import InvalidInputError, RegraftError, TooLargeError, UnsupportedError
from regraft.hookspecs import hookimpl
from regraft.reference import PixelOptions, Reference

__version__ = "0.1.0"

__all__ = [
    "Adaptation",
    "AudioInputs",
    "Classification",
    "Columns",
    "Event",
    "Feature",
    "FeatureForm",
    "Folds",
    "ImageInputs",
    "Inputs",
    "InvalidInputError",
    "LinearHead",
    "NoOptions",
    "OwnHead",
    "ParameterGroup",
    "PixelOptions",
    "Reference",
    "RegraftError",
    "SourceDescriptor",
    "SourceModel",
    "Step",
    "Task",
    "TensorSpec",
    "TextInputs",
    "TooLargeError",
    "TrainingPlan",
    "TransferStrategy",
    "UnsupportedError",
    "hookimpl",
]
