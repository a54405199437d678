"""What only answers needs no more than its list of packages."""

from pathlib import Path

import pytest

from tests.deploy.serve_packages import ADAPTING, LIST, missing_modules, text
from tests.deploy.without import without_the_others

POOL = """
from regraft.deployed import pool
from regraft.serving.replica import Replica
print(pool({}).__class__.__name__, Replica.__name__)
"""
TASKS = """
from importlib.metadata import entry_points
for name in ("text", "image", "speech", "tabular"):
    (found,) = entry_points(group="regraft", name=name)
    print(found.load().__name__)
import PIL.Image, soundfile, soxr, regraft.registry.shared_blobs, pyarrow.fs
"""


def test_the_list_is_as_the_packages_say() -> None:
    """`python -m tests.deploy.render` writes it anew."""
    assert LIST.read_text() == text()


def test_what_only_adapts_is_not_on_it() -> None:
    names = {line.split("==")[0] for line in LIST.read_text().splitlines()}
    assert not names & ADAPTING
    assert {"ray", "onnxruntime", "tokenizers", "pillow", "soundfile", "pyarrow"} <= names
    assert {"torch", "transformers", "sklearn", "scipy", "pandas"} <= set(missing_modules())


def test_the_pool_is_built_without_what_is_not_on_it(tmp_path: Path) -> None:
    told = without_the_others(POOL, REGRAFT_HOME=str(tmp_path))
    assert "Replica" in told


def test_tasks_are_read_without_what_is_not_on_it() -> None:
    assert len(without_the_others(TASKS).splitlines()) == 4


def test_the_control_plane_is_not_there() -> None:
    """The check bites."""
    with pytest.raises(AssertionError, match="not in the image: "):
        without_the_others("import regraft.api.control_plane")
