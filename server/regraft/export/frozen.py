"""A frozen backbone is exported once and kept: every model that is adapted from it shares it.

Features among which transfer chooses are outputs of one graph, so that they can be computed in one
pass; the graph of one of them is cut out of it.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import onnx

from regraft.contract import Feature, SourceModel
from regraft.domain import Blob
from regraft.errors import UnsupportedError
from regraft.export.graph import EXPORTER, canonical_bytes, cut_out, export_backbone
from regraft.registry.blobs import write_atomically
from regraft.registry.home import Home


@dataclass(frozen=True)
class FrozenBackbone:
    """The blob, and how long its export took: None when it was there already."""

    blob: Blob
    seconds: float | None


def frozen_backbone(source: SourceModel, feature: Feature, home: Home) -> FrozenBackbone:
    """The backbone of this source up to this feature, exported if it never was."""
    candidates = source.candidates(feature.form)
    if len(candidates) > 1 and feature in candidates:
        position = candidates.index(feature)

        def graph() -> bytes:
            whole = frozen_candidates(source, candidates, home)
            return cut_out(home.blobs.read(whole.blob.sha256), position)
    else:

        def graph() -> bytes:
            return _graph(source, feature)

    return kept(f"{source.fingerprint()} {feature}", graph, home)


def frozen_candidates(
    source: SourceModel, features: Sequence[Feature], home: Home
) -> FrozenBackbone:
    """One graph with an output for each of these features, in their order."""

    def graph() -> bytes:
        module = source.modules(features)
        if module is None:
            raise UnsupportedError(
                f"Source model '{source.name}' names several candidates of the form "
                f"'{features[0].form}' but gives no module of them all."
            )
        return export_backbone(module, source.inputs, *features)

    return kept(f"{source.fingerprint()} {[*features]}", graph, home)


def kept(what: str, graph: Callable[[], bytes], home: Home) -> FrozenBackbone:
    """The blob that a note in the cache names, else a new one and a note."""
    key = hashlib.sha256(f"{what} {EXPORTER}".encode()).hexdigest()
    note = home.cache / "exports" / f"{key}.json"
    if note.is_file():
        blob = Blob(**json.loads(note.read_text()))
        if blob.sha256 in home.blobs:
            os.utime(note)  # it is needed: cleaning leaves it
            return FrozenBackbone(blob, None)
    start = time.perf_counter()
    blob = home.blobs.put(graph())
    write_atomically(note, json.dumps(blob.as_dict()).encode())
    return FrozenBackbone(blob, time.perf_counter() - start)


def _graph(source: SourceModel, feature: Feature) -> bytes:
    graph = source.graph(feature)
    if graph is not None:
        return canonical_bytes(onnx.load_from_string(graph))
    module = source.module(feature)
    if module is None:
        raise UnsupportedError(f"Source model '{source.name}' gives neither a graph nor a module.")
    return export_backbone(module, source.inputs, feature)
