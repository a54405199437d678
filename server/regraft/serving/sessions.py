"""onnxruntime sessions with settings that do not surprise."""

import contextlib
import io
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime

from regraft.errors import NotReadyError
from regraft.serving.optimised import optimised_copy
from regraft.serving.quota import cpu_quota

log = logging.getLogger("regraft.serving")

CPU = ["CPUExecutionProvider"]
DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(int64)": "int64"}


def available_cpus() -> int:
    """The processors that this process may use, by its affinity and by the quota of its control
    group: onnxruntime would count the host's."""
    known = hasattr(os, "sched_getaffinity")
    count = len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
    return min(count, cpu_quota() or count)


@dataclass(frozen=True)
class Runtime:
    """How graphs run in this process: the threads of a session, whether on a GPU, and where copies
    that are optimised for this machine are kept (None: nowhere)."""

    threads: int = 1
    gpu: bool = False
    optimised: Path | None = None


def open_session(path: Path, runtime: Runtime) -> Any:
    """A session for one graph with threads of its own.

    A provider that was asked for and is not there is an error: onnxruntime would fall back to the
    CPU without a word.
    """
    options = session_options(runtime.threads)
    if runtime.gpu:
        return _open_on_gpu(path, options)
    copy = runtime.optimised and optimised_copy(path, runtime.optimised)
    if copy is None:
        return onnxruntime.InferenceSession(str(path), options, providers=CPU)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(str(copy), options, providers=CPU)
    except Exception as error:  # noqa: BLE001 - onnxruntime's own; the copy was deleted meanwhile
        log.warning("the optimised copy %s cannot be opened: %s", copy, error)
        plain = session_options(runtime.threads)
        return onnxruntime.InferenceSession(str(path), plain, providers=CPU)


def _open_on_gpu(path: Path, options: Any) -> Any:
    wanted = "CUDAExecutionProvider"
    # CUDA's libraries from the packages that pip installs, where the system has none; it prints.
    with contextlib.redirect_stdout(io.StringIO()):
        onnxruntime.preload_dlls(directory="")
    # 32-bit floats are meant: rounding their products to 19 bits is the default on a GPU.
    providers = [(wanted, {"use_tf32": "0"}), *CPU]
    session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    if wanted not in session.get_providers():
        raise NotReadyError(f"onnxruntime could not start {wanted} on this machine.")
    return session


def session_options(threads: int) -> Any:
    """Options that do not surprise: onnxruntime counts the host's processors, and spins on them."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options
