"""Data sets as text: written to a file and loaded with a tiny task."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from regraft.contract import Columns, Task
from regraft.data.load import load_dataset
from regraft.data.reading import read_table
from regraft.data.table import Table
from regraft.domain import AdaptationSpec, DataSet
from regraft.errors import DataError, Problem
from regraft.settings import Settings


class Shouting(Task):
    """Takes any text but this one."""

    columns = Columns(input=("text", "sentence"))

    @classmethod
    def check(cls, value: str) -> str | None:
        return "no shouting" if value == "AAAH" else None


class Folder:
    """A folder of data files; `load` and `problems` write the data first."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, content: str | bytes) -> str:
        raw = content.encode() if isinstance(content, str) else content
        (self.path / name).write_bytes(raw)
        return str(self.path / name)

    def read(self, name: str, content: str | bytes, **settings: Any) -> Table:
        return read_table(name, Path(self.write(name, content)), Settings(**settings))

    def load(self, content: str | bytes, name: str = "data.csv", **spec: Any) -> DataSet:
        return self.load_spec(data=self.write(name, content), **spec)

    def load_spec(self, **spec: Any) -> DataSet:
        asked = AdaptationSpec(name="model", source="any", **spec)
        return load_dataset(asked, Shouting, Settings())

    def problems(
        self, content: str | bytes, name: str = "data.csv", **spec: Any
    ) -> tuple[Problem, ...]:
        return problems_of(lambda: self.load(content, name, **spec))


def problems_of(action: Callable[[], object]) -> tuple[Problem, ...]:
    with pytest.raises(DataError) as caught:
        action()
    return caught.value.problems


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def problems() -> Callable[[Callable[[], object]], tuple[Problem, ...]]:
    return problems_of


@pytest.fixture
def rows() -> Callable[..., str]:
    """A CSV of `count` rows of distinct texts for each label."""

    def write(*labels: str, count: int = 10, texts: str = "text") -> str:
        lines = [f"{texts} {number} {label},{label}" for label in labels for number in range(count)]
        return "\n".join(["text,label", *lines])

    return write
