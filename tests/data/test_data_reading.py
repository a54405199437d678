"""Which files are read at all, and Parquet."""

import io
import tracemalloc
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from regraft.data.parquet import read_parquet
from regraft.data.reading import read_table
from regraft.errors import DataError
from regraft.settings import Settings


def parquet(**columns):
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), buffer)
    return buffer.getvalue()


def test_parquet_columns_are_python_values(folder):
    content = parquet(text=["a", None], label=[1.0, float("nan")])
    table = folder.read("a.parquet", content)
    assert table.names == ("text", "label")
    assert (table.height, table.cells("text")) == (2, ["a", None])


def test_dictionary_columns_are_their_values(folder):
    labels = pyarrow.array(["x", "y", "x"]).dictionary_encode()
    assert folder.read("a.parquet", parquet(label=labels)).cells("label") == ["x", "y", "x"]


@pytest.mark.parametrize("content", [b"", b"text,label\na,x\n", parquet(text=["a"])[:-9]])
def test_a_broken_parquet_file_is_told(folder, problems, content):
    assert [p.code for p in problems(lambda: folder.read("a.parquet", content))] == ["bad-parquet"]


def test_damage_inside_a_parquet_file_is_told_when_the_column_is_read(folder, problems):
    content = bytearray(parquet(text=["abc"] * 9))
    content[4:40] = b"\xff" * 36
    table = folder.read("a.parquet", bytes(content))
    assert [p.code for p in problems(lambda: table.cells("text"))] == ["bad-parquet"]


def test_the_suffix_may_be_in_capitals(folder):
    assert folder.read("A.CSV", "text,label\na,x\n").height == 1


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.json"])
def test_an_unknown_format_lists_the_supported_ones(folder, problems, name):
    (problem,) = problems(lambda: folder.read(name, "text,label\na,x\n"))
    assert problem.code == "unsupported-format"
    assert ".csv, .tsv, .jsonl, .parquet" in problem.message


def test_a_compressed_file_is_to_be_decompressed(folder, problems):
    (problem,) = problems(lambda: folder.read("a.csv.gz", "text,label\na,x\n"))
    assert problem.code == "unsupported-format"
    assert "decompress" in problem.message


@pytest.mark.parametrize(("path", "reason"), [("absent.csv", "does not exist"), (".", "directory")])
def test_a_path_without_a_file_is_told(tmp_path: Path, problems, path, reason):
    (problem,) = problems(lambda: read_table("data", tmp_path / path, Settings()))
    assert problem.code == "missing-file"
    assert reason in problem.message


def test_a_file_over_the_size_limit_is_refused(folder, problems):
    content = "text,label\na,x\n"
    assert folder.read("a.csv", content, max_upload=len(content)).height == 1
    found = problems(lambda: folder.read("a.csv", content, max_upload=len(content) - 1))
    assert [problem.code for problem in found] == ["too-large"]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_table_over_the_row_limit_is_refused(folder, problems, name):
    content = "text\na\nb\n" if name == "a.csv" else parquet(text=["a", "b"])
    assert folder.read(name, content, max_rows=2).height == 2
    found = problems(lambda: folder.read(name, content, max_rows=1))
    assert [problem.code for problem in found] == ["too-many-rows"]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, problems):
    (tmp_path / "memory.csv").symlink_to("/proc/self/mem")  # its first page cannot be read
    for name in ("memory.csv", "a" * 5000 + ".csv"):
        (problem,) = problems(lambda name=name: read_table("data", tmp_path / name, Settings()))
        assert problem.code == "unreadable-file"


@pytest.mark.parametrize("compression", ["zstd", "none"])
def test_parquet_that_holds_much_more_than_its_size_is_refused(tmp_path, compression):
    """One long text that a dictionary repeats, and one that compresses well."""
    many = pyarrow.table({"text": ["a" * 2**20] * 1_000})
    long = pyarrow.table({"text": ["a" * 2**26]})
    for number, table in enumerate((many, long)):
        path = tmp_path / f"{number}.parquet"
        pyarrow.parquet.write_table(table, path, compression=compression)
        tracemalloc.start()
        try:
            with pytest.raises(DataError, match="larger than 10,000,000 bytes once it is decoded"):
                read_parquet("bomb", path, largest=10_000_000).cells("text")
            assert tracemalloc.get_traced_memory()[1] < 2**26
        finally:
            tracemalloc.stop()
    assert read_parquet("all", path, largest=2**26).cells("text") == ["a" * 2**26]
    with pytest.raises(DataError, match="too-large"):
        read_parquet("all", path, largest=2**26 - 1).cells("text")


def test_parquet_that_lies_about_its_size_is_counted_as_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a" * 1000] * 50_000}), path)
    monkeypatch.setattr("regraft.data.parquet._declared", lambda group, name: 0)
    with pytest.raises(DataError, match="too-large"):
        read_parquet("lie", path, largest=49_999_999).cells("text")
    assert len(read_parquet("lie", path, largest=50_000_000).cells("text")) == 50_000
