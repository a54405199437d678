"""A frozen backbone is exported once and kept: every model that is adapted from it shares it."""

import hashlib
import json
import time
from dataclasses import dataclass

from regraft.contract import Feature, SourceModel
from regraft.domain import Blob
from regraft.errors import UnsupportedError
from regraft.export.graph import EXPORTER, export_backbone
from regraft.registry.blobs import write_atomically
from regraft.registry.home import Home


@dataclass(frozen=True)
class FrozenBackbone:
    """The blob, and how long its export took: None when it was there already."""

    blob: Blob
    seconds: float | None


def frozen_backbone(source: SourceModel, feature: Feature, home: Home) -> FrozenBackbone:
    """The backbone of this source up to this feature, exported if it never was."""
    key = hashlib.sha256(f"{source.fingerprint()} {feature} {EXPORTER}".encode()).hexdigest()
    note = home.cache / "exports" / f"{key}.json"
    if note.is_file():
        blob = Blob(**json.loads(note.read_text()))
        if blob.sha256 in home.blobs:
            return FrozenBackbone(blob, None)
    start = time.perf_counter()
    blob = home.blobs.put(_graph(source, feature))
    write_atomically(note, json.dumps(blob.as_dict()).encode())
    return FrozenBackbone(blob, time.perf_counter() - start)


def _graph(source: SourceModel, feature: Feature) -> bytes:
    graph = source.graph(feature)
    if graph is not None:
        return graph
    module = source.module(feature)
    if module is None:
        raise UnsupportedError(f"Source model '{source.name}' gives neither a graph nor a module.")
    return export_backbone(module, source.inputs.tensors, feature)
