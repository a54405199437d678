"""TensorFlow SavedModels as ONNX, by tf2onnx in a process of its own."""

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from regraft import InvalidInputError

OPSET = "18"
SECONDS = 600


def converted(folder: Path) -> Path:
    """The ONNX file of the default signature, kept under the user's cache by the folder's hash."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "regraft"
    target = cache / "tensorflow" / f"{digest_of(folder)}.onnx"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            made = Path(scratch) / "model.onnx"
            _convert(folder, made)
            made.replace(target)
    return target


def digest_of(folder: Path) -> str:
    """SHA-256 of all files and their names."""
    digest = hashlib.sha256(OPSET.encode())
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(folder)).encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _convert(folder: Path, target: Path) -> None:
    command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", str(folder)]
    command += ["--output", str(target), "--opset", OPSET]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise InvalidInputError(f"{folder}: tf2onnx took longer than {SECONDS} s.") from error
    if done.returncode or not target.is_file():
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise InvalidInputError(f"{folder} cannot be converted by tf2onnx: {last}")
