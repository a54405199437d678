"""The plugin test kit: everything in the catalogue passes it, and broken things do not."""

import base64
import io
import itertools
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image
from pydantic import BaseModel

from regraft import Feature, LinearHead, NoOptions, ParameterGroup, SourceModel, TextInputs
from regraft.plugins import Plugins
from regraft.registry.home import Home
from regraft.testing import check_source_model, check_strategy, check_task
from regraft.testing.source import check_same
from regraft.testing.task import check_imports
from regraft_text.classification import TextClassification
from regraft_transfer.full import Full
from regraft_transfer.linear_probe import LinearProbe
from regraft_transformers.text import INPUTS, TextEncoder

CATALOGUE = Plugins.load()


def picture(width: int, height: int, colour: str, mode: str = "RGB") -> bytes:
    """A PNG with a bar in it."""
    image = Image.new(mode, (width, height), colour)
    image.paste("white", (width // 4, 0, width // 2, height))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def tone(seconds: float, hertz: float) -> bytes:
    """A WAV of one channel."""
    time = np.arange(round(22_050 * seconds)) / 22_050
    file = io.BytesIO()
    soundfile.write(file, 0.3 * np.sin(2 * np.pi * hertz * time), 22_050, format="WAV")
    return file.getvalue()


EXAMPLES: dict[str, tuple[list[Any], list[str]]] = {
    "text": (
        ["a good film", "bad", "great, and long enough to be padded against the others", "sad"],
        ["positive", "negative", "positive", "negative"],
    ),
    "image": (
        [
            picture(40, 40, "red"),
            picture(300, 200, "blue"),
            picture(31, 500, "red"),
            picture(9, 8, "blue"),
        ],
        ["red", "blue", "red", "blue"],
    ),
    "table": (
        [
            {"age": "50", "size": "1.5", "site": "left"},
            {"age": "", "size": "7", "site": "right"},
            {"age": "31", "size": "2", "site": "left"},
            {"age": "64", "size": "9.5", "site": "centre"},
        ],
        ["benign", "malignant", "benign", "malignant"],
    ),
    "audio": (
        [tone(0.4, 200), tone(0.05, 900), tone(1.3, 220), tone(0.7, 870)],
        ["low", "high", "low", "high"],
    ),
}
"""Rows and labels of each modality; a task of a new modality needs a row here, as does one whose
labels are files, by its own name."""
EXAMPLES["image-segmentation"] = (
    EXAMPLES["image"][0],
    [base64.b64encode(picture(9, 8, colour, "L")).decode() for colour in ("black", "gray") * 2],
)


@pytest.mark.parametrize("name", sorted(CATALOGUE.sources))
def test_source_model_of_the_catalogue(name: str, plugins: Plugins, exported: Home) -> None:
    check_source_model(plugins.open_source(name), exported)


@pytest.mark.parametrize("name", sorted(CATALOGUE.tasks))
def test_task_of_the_catalogue(name: str, plugins: Plugins) -> None:
    task = plugins.task(name)
    source = next(s for _, _, s in plugins.sources.items_once() if s.modality == task.modality)
    check_task(
        task,
        plugins.open_source(source.name).inputs,
        *(EXAMPLES.get(name) or EXAMPLES[task.modality]),
    )


@pytest.mark.parametrize("name", sorted(CATALOGUE.strategies))
def test_strategy_of_the_catalogue(name: str, plugins: Plugins) -> None:
    check_strategy(plugins.strategy(name))


def test_kit_is_imported_without_torch() -> None:
    code = "import sys, regraft.testing; print('torch' in sys.modules, 'sklearn' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert found.stdout.split() == ["False", "False"]


def broken(base: type, **changes: Any) -> Any:
    """A subclass with these attributes, which says that it is where the right one is."""
    return type("Broken", (base,), {"__module__": base.__module__, **changes})


@dataclass(frozen=True)
class ShapedInputs(TextInputs):
    """Holds what JSON does not keep."""

    shape: tuple[int, int] = (1, 2)


def noisy(self: TextEncoder, feature: Any) -> Any:
    module = TextEncoder.module(self, feature)
    module.register_forward_hook(lambda _, inputs, output: output + random.random())
    return module


def unmasked(self: TextEncoder, feature: Any) -> Any:
    module = TextEncoder.module(self, feature)
    module.register_forward_pre_hook(
        lambda _, args, named: (args, {**named, "attention_mask": named["input_ids"] * 0 + 1}),
        with_kwargs=True,
    )
    return module


def shared() -> Callable[..., Any]:
    known: dict[str, Any] = {}

    def module(self: TextEncoder, feature: Any) -> Any:
        return known.setdefault("module", TextEncoder.module(self, feature))

    return module


def twice_the_first(self: TextEncoder, features: Any) -> Any:
    from torch import nn

    class Twice(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, **inputs: Any) -> Any:
            return (self.inner(**inputs),) * len(features)

    return Twice(TextEncoder.module(self, features[0]))


BROKEN_SOURCES: dict[str, dict[str, Any]] = {
    "changed between two calls": {"fingerprint": lambda self: f"{random.getrandbits(256):064x}"},
    "64 lower-case hex": {"fingerprint": lambda self: "v1"},
    "one lower-case word": {"modality": "Natural language"},
    "a tuple comes back": {"inputs": ShapedInputs(INPUTS, b"{}", 8)},
    "not deterministic": {"module": noisy},
    "positions whose attention_mask is 0": {"module": unmasked},
    "share parameters": {"module": shared()},
    "neither a graph nor a module": {"module": lambda self, feature: None, "trainable": False},
    "`trainable` is False, but": {"trainable": False},
    "must give them in one pass": {"candidates": lambda self, form: self.features},
    "names what `features` lacks": {
        "candidates": lambda self, form: (Feature("other", "pooled", 32),)
    },
    "gives another 'layer-2' than": {
        "candidates": lambda self, form: self.features,
        "modules": twice_the_first,
    },
}


@pytest.mark.parametrize("reason", BROKEN_SOURCES)
def test_broken_source_model_is_told_why(reason: str, tiny_bert: Path) -> None:
    source = broken(TextEncoder, **BROKEN_SOURCES[reason])("tiny", tiny_bert, False)
    with pytest.raises(AssertionError, match=reason):
        check_source_model(source)


def test_features_of_another_size_or_of_one_name_are_refused(tiny_bert: Path) -> None:
    source = TextEncoder("tiny", tiny_bert, False)
    first = source.features[0]
    source.features = (first, first)
    with pytest.raises(AssertionError, match="names one twice"):
        check_source_model(source)
    source.features = (type(first)(first.name, first.form, 33),)
    with pytest.raises(AssertionError, match=r"the module gives \(1, 32\)"):
        check_source_model(source)


def test_graph_that_differs_from_the_module_is_refused(minilm: SourceModel) -> None:
    def zeros(batch: Any) -> Any:
        return np.zeros((len(batch["input_ids"]), 2))

    with pytest.raises(AssertionError, match=r"differs from the module by 0\.5"):
        check_same(lambda batch: zeros(batch) + 0.5, zeros, minilm.inputs)


def ragged_right(self: Any, rows: Any) -> Any:
    """Pads on the left, so that rows depend on their batch-mates."""
    return {name: array[:, ::-1] for name, array in TextClassification.encode(self, rows).items()}


def narrow(self: Any, rows: Any) -> Any:
    encoded = TextClassification.encode(self, rows)
    return {name: array.astype(np.int32) for name, array in encoded.items()}


def doubled(self: Any, head: Any) -> Any:
    right: Any = TextClassification.serving_head(self, head)
    return LinearHead(right.weight * 2, right.bias)


def arrays_in_metrics(self: Any, outputs: Any, targets: Any) -> Any:
    return {**TextClassification.metrics(self, outputs, targets), "confusion": np.eye(2)}


BROKEN_TASKS: dict[str, dict[str, Any]] = {
    "lacks the class attributes summary": {"summary": ""},
    "must be INT64, but is an array of int32": {"encode": narrow},
    "one for each spec": {"encode": lambda self, rows: {}},
    "for a row beside others": {"encode": ragged_right},
    "depends on the order": {
        "labels_of": classmethod(lambda cls, labels: tuple(dict.fromkeys(labels)))
    },
    "`targets` gives 1 items": {"targets": lambda self, labels: np.zeros(1, np.int64)},
    "one number, the mean": {"loss": lambda self, outputs, targets: outputs.sum(1)},
    "no gradient": {"loss": lambda self, outputs, targets: outputs.sum() * 0},
    "does not say what `activate`": {"serving_head": doubled},
    "'loss' as a finite float": {"metrics": lambda self, outputs, targets: {"accuracy": 0.5}},
    "JSON cannot hold": {"metrics": arrays_in_metrics},
    "intervals would be of something else": {"scores": lambda self, o, targets: targets * 0 + 2.0},
    "`majority` gives": {"majority": lambda self, targets, rows: np.zeros((rows, 7))},
    "`rows` gives": {"rows": lambda self, tensors: ["?"] * 4},
    "`answers` gives 0 records": {"answers": lambda self, tensors: []},
    "one for each spec, not": {"decode": lambda self, outputs: {"label": outputs}},
}


@pytest.mark.parametrize("reason", BROKEN_TASKS)
def test_broken_task_is_told_why(reason: str, minilm: SourceModel) -> None:
    task = broken(TextClassification, **BROKEN_TASKS[reason])
    with pytest.raises(AssertionError, match=reason):
        check_task(task, minilm.inputs, *EXAMPLES["text"])


def test_task_whose_module_imports_scikit_learn_is_refused() -> None:
    task = broken(TextClassification, __module__="regraft_text.baseline")
    with pytest.raises(AssertionError, match="imports sklearn"):
        check_imports(task)


class Loose(BaseModel):
    """Forgets extra='forbid'."""


class Demanding(NoOptions):
    """Has an option without a default."""

    rate: float


def guess(self: Any, features: Any, targets: Any, folds: Any) -> LinearHead:
    size = (int(targets.max()) + 1, features.shape[1])
    return LinearHead(np.zeros(size, np.float32), np.zeros(size[0], np.float32))


def double(self: Any, features: Any, targets: Any, folds: Any) -> LinearHead:
    head = LinearProbe.fit(self, features, targets, folds)
    return LinearHead(head.weight.astype(float), head.bias)


def unseeded(self: Any, features: Any, targets: Any, folds: Any) -> LinearHead:
    head = LinearProbe.fit(self, features, targets, folds)
    return LinearHead(head.weight * np.float32(1 + random.random() / 100), head.bias)


def from_outside(self: Any, model: Any) -> list[ParameterGroup]:
    from torch import nn

    return [ParameterGroup(list(nn.Linear(2, 2).parameters()))]


def moody() -> Callable[..., Any]:
    count = itertools.count()
    return lambda self, step: step.logits.square().sum() * next(count)


def of_features(self: Any, step: Any) -> Any:
    """Never mind the head."""
    centres = [step.features[step.targets == label].mean(0) for label in step.targets.unique()]
    return -sum((a - b).square().sum() for a, b in itertools.pairwise(centres))


BROKEN_STRATEGIES: dict[str, tuple[type, dict[str, Any]]] = {
    "`name` must match": (LinearProbe, {"name": "Linear Probe"}),
    "`kind` must be one of": (LinearProbe, {"kind": "magic"}),
    "`summary` must say": (LinearProbe, {"summary": ""}),
    "takes an unknown option": (LinearProbe, {"Options": Loose}),
    "valid without arguments": (LinearProbe, {"Options": Demanding}),
    "of separable training rows": (LinearProbe, {"fit": guess}),
    "as float32": (LinearProbe, {"fit": double}),
    "for the same seed": (LinearProbe, {"fit": unseeded}),
    "must be a loss": (LinearProbe, {"cross_validate": lambda self, f, t, folds: float(f.std())}),
    "nothing to learn": (Full, {"parameter_groups": lambda self, model: []}),
    "did not attach": (Full, {"parameter_groups": from_outside}),
    "a parameter twice": (
        Full,
        {"parameter_groups": lambda self, model: Full.parameter_groups(self, model) * 2},
    ),
    "does not fall": (
        Full,
        {"parameter_groups": lambda self, model: [ParameterGroup(list(model.parameters()), 1e-9)]},
    ),
    "must freeze what does not learn": (Full, {"loss": of_features}),
    "A resumed run ends with other weights": (Full, {"loss": moody()}),
    "must return a TargetModel": (Full, {"finish": lambda self, model: model.backbone}),
}


@pytest.mark.parametrize("reason", BROKEN_STRATEGIES)
def test_broken_strategy_is_told_why(reason: str) -> None:
    kind, changes = BROKEN_STRATEGIES[reason]
    with pytest.raises(AssertionError, match=reason):
        check_strategy(broken(kind, **changes))
