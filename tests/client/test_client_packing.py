"""Data whose rows are files is sent as one Parquet file."""

from pathlib import Path

import pyarrow.parquet
import pytest

from regraft.errors import DataError


def silent(kind, data):
    """Shows nothing."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "pictures"
    for number in range(70):
        place = root / ("cat", "dog")[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(f"picture {number}".encode())
    return root


def sent(client, server, spec, data: Path, **more):
    changes = {"task": "image-classification", "source": "efficientnet-lite0", "data": str(data)}
    changes |= more
    run = client.adapt(spec.model_copy(update=changes), True, silent)
    path = server.registry.uploads.path(run["spec"]["data"])
    return pyarrow.parquet.read_table(path).to_pylist()


def test_a_folder_is_sent_with_its_contents_and_classes(client, server, spec, folder) -> None:
    rows = sent(client, server, spec, folder)
    assert len(rows) == 70
    found = {row["path"]: row["label"] for row in rows}
    assert (found[b"picture 4"], found[b"picture 7"]) == ("cat", "dog")


def test_a_table_is_sent_with_contents_in_place_of_paths(client, server, spec, folder) -> None:
    table = folder / "rows.csv"
    table.write_text("Photo,label,camera\ncat/0.png,cat,1\ndog/1.png,dog,2\n")
    assert sent(client, server, spec, table, input_column="Photo") == [
        {"Photo": b"picture 0", "label": "cat", "camera": "1"},
        {"Photo": b"picture 1", "label": "dog", "camera": "2"},
    ]


def test_files_without_labels_lie_in_no_folder_of_a_class(
    client, server, spec, folder, tmp_path
) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    for number in range(3):
        (plain / f"{number}.png").write_bytes(f"new {number}".encode())
    changes = {"task": "image-classification", "source": "efficientnet-lite0"}
    changes |= {"data": str(folder), "unlabelled": str(plain), "strategy": "mcc"}
    run = client.adapt(spec.model_copy(update=changes), True, silent)
    path = server.registry.uploads.path(run["spec"]["unlabelled"])
    rows = pyarrow.parquet.read_table(path).to_pylist()
    assert sorted(row["path"] for row in rows) == [b"new 0", b"new 1", b"new 2"]


def test_the_column_is_the_one_that_would_be_chosen_here(client, server, spec, folder) -> None:
    table = folder / "rows.csv"
    table.write_text("filename,image,label\nfirst,cat/0.png,cat\nsecond,dog/1.png,dog\n")
    assert [row["image"] for row in sent(client, server, spec, table)] == [
        b"picture 0",
        b"picture 1",
    ]
    table.write_text("photo,label\ncat/0.png,cat\ndog/1.png,dog\n")
    assert [row["photo"] for row in sent(client, server, spec, table)] == [
        b"picture 0",
        b"picture 1",
    ]


def test_a_parquet_file_of_paths_is_packed_and_one_of_contents_is_not(
    client, server, spec, folder
) -> None:
    for cells in (["cat/0.png", "dog/1.png"], [b"picture 0", b"picture 1"]):
        columns = {"image": cells, "label": ["cat", "dog"]}
        pyarrow.parquet.write_table(pyarrow.table(columns), folder / "rows.parquet")
        rows = sent(client, server, spec, folder / "rows.parquet")
        assert [row["image"] for row in rows] == [b"picture 0", b"picture 1"]


def test_missing_files_are_found_before_anything_is_sent(client, server, spec, folder) -> None:
    table = folder / "rows.csv"
    table.write_text("path,label\ncat/0.png,cat\ngone.png,dog\n../x.png,dog\n")
    with pytest.raises(DataError) as raised:
        sent(client, server, spec, table)
    assert [(p.code, p.row) for p in raised.value.problems] == [
        ("missing-file", 2),
        ("outside-file", 3),
    ]
    assert not server.registry.home.uploads.exists()


def test_a_folder_of_texts_is_no_data(client, spec, folder) -> None:
    changed = spec.model_copy(update={"data": str(folder)})
    with pytest.raises(DataError, match="is a directory, not a file"):
        client.adapt(changed, True, silent)
