"""Checkpoint folders that differ from a sound one."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path, tiny_bert: Path) -> Folder:
    """A copy of tiny-bert with these files changed: JSON is merged, bytes are written, None is
    removed."""

    def make(changes: dict[str, Any]) -> Path:
        made = tmp_path / "checkpoint"
        shutil.copytree(tiny_bert, made)
        for name, change in changes.items():
            path = made / name
            if change is None:
                path.unlink()
            elif isinstance(change, bytes):
                path.write_bytes(change)
            else:
                known = json.loads(path.read_text()) if path.is_file() else {}
                path.write_text(json.dumps(known | change))
        return made

    return make
