"""Rows that are files: folders of classes, paths in a table, bytes in a column."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from regraft.contract import Columns, Task
from regraft.data.load import load_dataset
from regraft.domain import AdaptationSpec, DataSet
from regraft.errors import DataError
from regraft.settings import Settings


class Notes(Task):
    """Files that begin with N are its inputs."""

    columns = Columns(input=("path", "note"))
    suffixes = (".note",)
    largest_file = 1000

    @classmethod
    def check(cls, value: Any) -> str | None:
        return None if value.startswith(b"N") else "no note"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of twelve files, a deeper folder among them, and what is no row."""
    root = tmp_path / "notes"
    for label in ("a", "b"):
        for number in range(12):
            place = root / label / ("deep" if number > 8 else "")
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number}.NOTE").write_bytes(f"N{label}{number}".encode())
    (root / "a" / "readme.txt").write_text("no row")
    (root / "a" / ".hidden.note").write_text("no row")
    return root


def load(data: Path, **given: Any) -> DataSet:
    spec = AdaptationSpec(name="n", source="s", data=str(data), **given)
    return load_dataset(spec, Notes, Settings())


def table(folder: Path, *rows: str) -> Path:
    path = folder / "rows.csv"
    path.write_text("\n".join(["path,label", *rows]))
    return path


def codes(data: Path) -> list[tuple[str, int | None]]:
    with pytest.raises(DataError) as raised:
        load(data)
    return [(problem.code, problem.row) for problem in raised.value.problems]


def test_a_folder_for_each_class_is_a_data_set(folder: Path) -> None:
    data = load(folder)
    assert data.labels == ("a", "b")
    assert sum(data.counts().values()) == 24
    for label, content in zip(data.train.labels, data.train.inputs, strict=True):
        assert content.startswith(f"N{label}".encode())


def test_the_parts_depend_on_contents_and_not_on_names(folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    for path in sorted(other.rglob("*.NOTE")):
        path.rename(path.with_name(f"x{path.name}"))
    one, two = load(folder), load(other)
    assert list(one.test.inputs) == list(two.test.inputs)
    changed = load(folder, seed=1)
    assert list(changed.test.inputs) != list(one.test.inputs)


def test_equal_files_stay_on_one_side(folder: Path) -> None:
    for number in range(6):
        (folder / "a" / f"copy{number}.note").write_bytes(b"Na0")
    data = load(folder)
    parts = (data.train, data.validation, data.test)
    assert sum(b"Na0" in list(part.inputs) for part in parts) == 1


def test_a_table_names_files_beside_it(folder: Path) -> None:
    rows = [f"{path.relative_to(folder)},{path.parts[-2][0]}" for path in folder.rglob("*.NOTE")]
    data = load(table(folder, *rows))
    assert sum(data.counts().values()) == 24


def test_a_parquet_file_can_hold_the_contents(tmp_path: Path) -> None:
    contents = [f"N{n}".encode() for n in range(24)]
    columns = {"note": contents, "label": ["a", "b"] * 12}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "rows.parquet")
    data = load(tmp_path / "rows.parquet")
    assert sorted([*data.train.inputs, *data.validation.inputs, *data.test.inputs]) == sorted(
        contents
    )


def test_what_is_wrong_with_files_is_told_by_row(folder: Path) -> None:
    (folder / "big.note").write_bytes(b"N" * 1001)
    (folder / "bad.note").write_bytes(b"?")
    (folder / "empty.note").touch()
    (folder.parent / "secret.note").write_bytes(b"N")
    data = table(
        folder,
        "a/0.NOTE,a",
        "gone.note,a",
        "../secret.note,a",
        "/etc/hostname,b",
        "big.note,b",
        "bad.note,b",
        "empty.note,b",
        " ,b",
        "a,b",
    )
    assert codes(data) == [
        ("missing-file", 2),
        ("outside-file", 3),
        ("outside-file", 4),
        ("too-large", 5),
        ("unusable-input", 6),
        ("unusable-input", 7),
        ("empty-input", 8),
        ("missing-file", 9),
    ]


def test_a_link_out_of_the_folder_is_not_followed(folder: Path) -> None:
    (folder / "a" / "link.note").symlink_to("/etc/hostname")
    assert [code for code, _ in codes(folder)] == ["outside-file"]


def test_a_table_that_came_over_the_network_names_no_file(folder: Path) -> None:
    data = table(folder, "a/0.NOTE,a", "b/0.NOTE,b")
    spec = AdaptationSpec(name="n", source="s", data="dataset:rows")
    with pytest.raises(DataError, match="send the content") as raised:
        load_dataset(spec, Notes, Settings(), lambda reference: data)
    assert {problem.code for problem in raised.value.problems} == {"outside-file"}


def test_a_class_may_begin_with_a_space_and_a_folder_may_end_like_a_file(folder: Path) -> None:
    (folder / "a").rename(folder / " a")
    (folder / "b" / "folder.note").mkdir()
    assert sum(load(folder).counts().values()) == 24


def test_a_folder_without_classes_says_how_it_should_be(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one folder a class is expected"):
        load(tmp_path)
    (tmp_path / "1.note").write_bytes(b"N")
    with pytest.raises(DataError, match="CLASS"):
        load(tmp_path)
