"""onnxruntime sessions with settings that do not surprise."""

import os
from pathlib import Path
from typing import Any

import onnxruntime

from regraft.errors import NotReadyError

DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(int64)": "int64"}


def available_cpus() -> int:
    """The processors that this process may use: onnxruntime would count the host's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def open_session(path: Path, threads: int, gpu: bool = False) -> Any:
    """A session for one graph with `threads` threads of its own.

    A provider that was asked for and is not there is an error: onnxruntime would fall back to the
    CPU without a word.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    wanted = ["CUDAExecutionProvider"] if gpu else []
    session = onnxruntime.InferenceSession(
        str(path), options, providers=[*wanted, "CPUExecutionProvider"]
    )
    missing = set(wanted) - set(session.get_providers())
    if missing:
        raise NotReadyError(f"onnxruntime could not start {', '.join(missing)} on this machine.")
    return session
