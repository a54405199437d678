"""The contract check of a source model."""

import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from regraft.contract import (
    Array,
    AudioInputs,
    Feature,
    FeatureForm,
    Inputs,
    SourceModel,
    TextInputs,
)
from regraft.export.frozen import frozen_backbone
from regraft.registry.blobs import BlobStore
from regraft.registry.home import Home
from regraft.registry.manifest import InputsRecord
from regraft.serving.predictor import Backbone
from regraft.serving.sessions import Runtime
from regraft.testing.tensors import check_specs, feature_shape, made_up_batch, padded

if TYPE_CHECKING:
    from torch import nn

Forward = Callable[[dict[str, Array]], Array]

SIZES = ((1, 8), (2, 8), (2, 13), (3, 5))
TOLERANCE = 1e-3
SAME = 1e-4


def check_source_model(source: SourceModel, home: Home | None = None) -> None:
    """Raise AssertionError if the source model breaks its contract.

    Its default feature is exported, which takes seconds; the export is kept in `home` if given.
    """
    check_description(source)
    check_fingerprint(source)
    with tempfile.TemporaryDirectory() as folder:
        check_inputs_record(source.inputs, BlobStore(Path(folder)))
        check_candidates(source)
        feature = source.features[0]
        module = source.module(feature)
        if module is not None:
            check_module(source, feature, module)
        assert (module is not None) == source.trainable, (
            f"`trainable` is {source.trainable}, but `module` gives "
            f"{'nothing' if module is None else 'a module'}."
        )
        assert module is not None or source.graph(feature) is not None, (
            f"'{source.name}' gives neither a graph nor a module for its default feature "
            f"'{feature.name}'."
        )
        _check_graph(source, feature, module, home or Home(Path(folder)).create())


def check_description(source: SourceModel) -> None:
    """Name, modality, inputs and features are well-formed."""
    assert source.name, "`name` must be the reference."
    assert re.fullmatch(r"[a-z]+", source.modality), (
        f"`modality` must be one lower-case word such as text, not '{source.modality}'."
    )
    assert isinstance(source.inputs, Inputs), "`inputs` must be an Inputs record."
    check_specs(source.inputs.tensors, "`inputs.tensors`")
    assert source.features, "`features` must name at least one place where the backbone ends."
    names = [feature.name for feature in source.features]
    assert len(set(names)) == len(names), f"`features` names one twice: {', '.join(names)}."
    for feature in source.features:
        assert feature.form in get_args(FeatureForm), (
            f"Feature '{feature.name}': the form must be one of {get_args(FeatureForm)}, "
            f"not '{feature.form}'."
        )
        assert feature.size > 0, f"Feature '{feature.name}': the size must be a positive integer."


def check_candidates(source: SourceModel) -> None:
    """Several candidates are features of the source, and one module gives them all."""
    for form in {feature.form for feature in source.features}:
        found = source.candidates(form)
        strange = [feature.name for feature in found if feature not in source.features]
        assert not strange, (
            f"`candidates('{form}')` names what `features` lacks: {', '.join(strange)}."
        )
        if len(found) > 1:
            check_modules(source, found)


def check_modules(source: SourceModel, candidates: Sequence[Feature]) -> None:
    """The module of all candidates says of each what its own module says."""
    module = source.modules(candidates)
    assert module is not None, (
        f"`candidates` names {len(candidates)} features, so `modules` must give them in one pass."
    )
    batch = made_up_batch(source.inputs, 2, 8)
    together = module_outputs(module)(batch)
    assert len(together) == len(candidates), (
        f"`modules` gives {len(together)} tensors for {len(candidates)} features."
    )
    for feature, found in zip(candidates, together, strict=True):
        assert found.shape[1 if feature.form != "sequence" else 2] == feature.size, (
            f"Feature '{feature.name}' has the size {feature.size}, but `modules` gives "
            f"{found.shape}."
        )
        alone = source.module(feature)
        assert alone is not None, f"`module` gives nothing for the candidate '{feature.name}'."
        assert np.allclose(module_forward(alone)(batch), found, atol=SAME), (
            f"`modules` gives another '{feature.name}' than `module`."
        )


def check_fingerprint(source: SourceModel) -> None:
    """A SHA-256 that does not change."""
    first = source.fingerprint()
    assert re.fullmatch(r"[0-9a-f]{64}", first), (
        f"`fingerprint()` must be 64 lower-case hexadecimal digits, not {first!r}."
    )
    assert source.fingerprint() == first, (
        "`fingerprint()` changed between two calls: hash only what determines the outputs."
    )


def check_inputs_record(inputs: Inputs, blobs: BlobStore) -> None:
    """The record survives publishing: bytes as files, the rest as JSON."""
    try:
        stored = InputsRecord.store(inputs, blobs).model_dump_json()
        restored = InputsRecord.model_validate_json(stored).restore(type(inputs), blobs)
        same = restored == inputs
    except Exception as error:
        raise AssertionError(
            f"`inputs` cannot be stored with a version and restored: {error}"
        ) from error
    assert same, (
        f"`inputs` changes when it is stored: {type(inputs).__name__} may hold bytes and what JSON "
        "keeps (strings, numbers, booleans, lists); a tuple comes back as a list."
    )


def check_module(source: SourceModel, feature: Feature, module: "nn.Module") -> None:
    """Deterministic, of the feature's shape, blind to padding, and fresh at each call."""
    forward = module_forward(module)
    batch = made_up_batch(source.inputs, 2, 8)
    before = forward(batch)
    assert np.array_equal(before, forward(batch)), (
        "`module()` is not deterministic in eval mode: remove what draws random numbers there."
    )
    check_outputs(forward, source.inputs, feature, "the module")
    again = source.module(feature)
    assert again is not None, "`module()` gives a module once and None after that."
    assert np.allclose(module_forward(again)(batch), before, atol=SAME), (
        "`module()` gives other weights at the second call."
    )
    _zero(again)
    assert np.array_equal(forward(batch), before), (
        "Modules of two calls share parameters: `module()` must build a fresh one at each call, "
        "since each adaptation changes its own."
    )


def check_outputs(forward: Forward, inputs: Inputs, feature: Feature, what: str) -> None:
    """Features of the right shape for several sizes; padding of a text changes nothing."""
    for batch, length in SIZES:
        found = forward(made_up_batch(inputs, batch, length))
        wanted = feature_shape(feature, batch, length)
        fits = found.ndim == len(wanted) and all(
            found.shape[axis] == wanted[axis] for axis in _fixed_axes(feature, inputs)
        )
        assert fits, (
            f"Feature '{feature.name}' of the form '{feature.form}' and size {feature.size}: "
            f"{what} gives {found.shape} for a batch of {batch} and a length of {length}."
        )
        assert np.isfinite(found).all(), f"{what} gives values that are not finite."
    if isinstance(inputs, TextInputs | AudioInputs):
        row = made_up_batch(inputs, 1, 8)
        alone = forward(row)
        beside = forward(padded(row, inputs, 5))
        beside = beside[:, : alone.shape[1]] if feature.form == "sequence" else beside
        assert np.allclose(alone, beside, atol=SAME), (
            f"{what} gives another feature for a row that is padded: positions whose "
            "attention_mask is 0, and samples beyond lengths, must not count, neither in attention "
            "nor in pooling."
        )


def _fixed_axes(feature: Feature, inputs: Inputs) -> tuple[int, ...]:
    """Those whose size the feature says; a step of a sequence of sound is the source's own."""
    if feature.form == "map":
        return (0, 1)
    if feature.form == "sequence":
        return (0, 2) if isinstance(inputs, AudioInputs) else (0, 1, 2)
    return (0, 1)


def _check_graph(
    source: SourceModel, feature: Feature, module: "nn.Module | None", home: Home
) -> None:
    """The graph that will serve has the same inputs and says what the module says."""
    exported = frozen_backbone(source, feature, home)
    backbone = Backbone(home.blobs.path(exported.blob.sha256), Runtime())
    tensors = {spec.name for spec in source.inputs.tensors}
    assert set(backbone.names) <= tensors, (
        f"The graph takes {backbone.names}, but `inputs.tensors` names {sorted(tensors)}."
    )
    check_outputs(backbone.features, source.inputs, feature, "the graph")
    if module is not None:
        check_same(backbone.features, module_forward(module), source.inputs)


def check_same(graph: Forward, module: Forward, inputs: Inputs) -> None:
    """Graph and module agree for several batch sizes and lengths."""
    for batch, length in SIZES:
        rows = made_up_batch(inputs, batch, length)
        difference = float(np.abs(graph(rows) - module(rows)).max())
        assert difference <= TOLERANCE, (
            f"The graph differs from the module by {difference:.2g} (allowed {TOLERANCE:g}) for a "
            f"batch of {batch} and a length of {length}."
        )


def module_forward(module: "nn.Module") -> Forward:
    """The module in eval mode, from arrays to an array."""
    outputs = module_outputs(module)
    return lambda batch: outputs(batch)[0]


def module_outputs(module: "nn.Module") -> Callable[[dict[str, Array]], list[Array]]:
    """The module in eval mode, from arrays to all that it gives."""
    import torch

    module.eval()

    def outputs(batch: dict[str, Array]) -> list[Array]:
        with torch.no_grad():
            found: Any = module(**{name: torch.from_numpy(a) for name, a in batch.items()})
        several = found if isinstance(found, tuple) else (found,)
        return [np.asarray(tensor.numpy()) for tensor in several]

    return outputs


def _zero(module: "nn.Module") -> None:
    import torch

    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
