"""Graphs optimised for this machine once, and mapped by every process that runs them.

onnxruntime optimises a graph and repacks its weights whenever it opens one, into memory of the
process alone. The result can be saved with the weights in a file of their own, which is mapped when
it is opened again: the replicas of a node then share one copy of the weights, in memory and in the
processor's cache, and a graph opens in a third of the time.
"""

import hashlib
import json
import logging
import os
import platform
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import onnxruntime

from regraft.registry.blobs import sync_directory

log = logging.getLogger("regraft.serving")

GRAPH, WEIGHTS, SUMS = "graph.onnx", "weights.bin", "sums.json"
SMALLEST_MAPPED = 1024
"""Bytes from which a tensor goes to the file of weights."""


def optimised_copy(blob: Path, directory: Path) -> Path | None:
    """The copy of this graph for this machine, made now if there is none that is whole.

    None where it cannot be made (no space, a read-only disk, a graph that cannot be saved): the
    graph itself runs as well, only with weights of its own.
    """
    folder = directory / f"{blob.name}-{hardware()}"
    try:
        if not _is_whole(folder):
            _make(blob, folder)
    except Exception as error:  # noqa: BLE001 - onnxruntime raises its own for what it cannot save
        log.warning("no optimised copy of %s: %s", blob.name, error)
        return None
    return folder / GRAPH


@cache
def hardware() -> str:
    """Names what a copy depends on: onnxruntime and the processor's instructions."""
    parts = [onnxruntime.__version__, platform.machine(), *_cpu_features()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _cpu_features() -> list[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
    words = ("model name", "flags", "Features")
    return sorted({line for line in lines if line.startswith(words)})


def _is_whole(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / SUMS).read_text()) == _sums(folder))
    except (OSError, ValueError):
        return False


def _sums(folder: Path) -> dict[str, str]:
    found = {}
    for name in (GRAPH, WEIGHTS):
        with (folder / name).open("rb") as file:
            found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _make(blob: Path, folder: Path) -> None:
    """Beside its place first, then renamed: a reader never sees half of it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".part-"))
    try:
        onnxruntime.InferenceSession(str(blob), _saving(draft), providers=["CPUExecutionProvider"])
        (draft / WEIGHTS).touch()
        (draft / SUMS).write_text(json.dumps(_sums(draft)))
        _sync(draft)
        _move(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _saving(draft: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.optimized_model_filepath = str(draft / GRAPH)
    for name, value in {
        "optimized_model_external_initializers_file_name": WEIGHTS,
        "optimized_model_external_initializers_min_size_in_bytes": str(SMALLEST_MAPPED),
        "save_external_prepacked_constant_initializers": "1",
    }.items():
        options.add_session_config_entry(f"session.{name}", value)
    return options


def _sync(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    sync_directory(folder)


def _move(draft: Path, folder: Path) -> None:
    """Another process may have been first with a whole one; a damaged one makes way."""
    if folder.exists() and not _is_whole(folder):
        shutil.rmtree(folder)
    try:
        draft.rename(folder)
    except OSError:
        if not _is_whole(folder):
            raise
