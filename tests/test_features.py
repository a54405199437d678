"""Features of a frozen backbone: in the order of the rows, and cached."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regraft.errors import CancelledRunError
from regraft.features import (
    BATCH,
    FeatureCache,
    compute_features,
    features_by,
    features_key,
    in_threads,
)
from regraft.plugins import Plugins
from regraft.registry.home import Home
from regraft.serving.predictor import Backbone
from regraft.serving.sessions import Runtime


class Lengths:
    """Backbone and task in one: a text's feature is its length and its first character; the second
    is the sequence of its characters."""

    largest_batch = 2**31

    def __init__(self) -> None:
        self.batches: list[int] = []

    def size(self, row: str) -> int:
        return len(row)

    def encode(self, rows: Sequence[str]) -> Any:
        self.batches.append(max(map(len, rows)) - min(map(len, rows)))
        return rows

    def features(self, rows: Sequence[str]) -> Any:
        return np.array([[len(row), ord(row[0])] for row in rows], np.float32)

    def outputs(self, rows: Sequence[str]) -> list[Any]:
        longest = max(map(len, rows))
        sequences = [[*map(ord, row), *[0] * (longest - len(row))] for row in rows]
        return [self.features(rows), np.array(sequences, np.float32)[:, :, None]]


def compute(rows: Sequence[str], lengths: Any = None, **more: Any) -> Any:
    fake: Any = lengths or Lengths()
    return compute_features(fake, fake, rows, **more)[0]


@given(rows=st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=100))
def test_features_are_in_the_order_of_the_rows(rows: list[str]) -> None:
    np.testing.assert_array_equal(compute(rows), Lengths().features(rows))


def test_rows_of_like_size_go_through_together() -> None:
    lengths = Lengths()
    compute(
        ["x" * n for n in np.random.default_rng(0).permutation(range(1, 4 * BATCH + 1))], lengths
    )
    assert lengths.batches == [BATCH - 1] * 4


def test_batches_may_come_in_any_order() -> None:
    rows = ["x" * n for n in range(1, 5 * BATCH)]
    fake: Any = Lengths()

    def backwards(rows: Sequence[Any], batches: Sequence[Any]) -> Any:
        yield from reversed(list(in_threads(fake, fake, 1)(rows, batches)))

    found = features_by(backwards, fake, rows)
    for one, other in zip(found, compute_features(fake, fake, rows), strict=True):
        np.testing.assert_array_equal(one, other)


def test_who_computes_is_told_when_nobody_wants_more() -> None:
    closed, fake = [], Lengths()

    def run(rows: Sequence[Any], batches: Sequence[Any]) -> Any:
        try:
            for number, batch in enumerate(batches):
                yield number, fake.outputs([rows[int(n)] for n in batch])
        finally:
            closed.append(True)

    def stop(done: int) -> None:
        raise CancelledRunError("enough")

    with pytest.raises(CancelledRunError):
        features_by(run, cast("Any", fake), ["a"] * 100, stop)
    assert closed == [True]


def test_large_features_are_kept_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regraft.features.LARGE", 100)
    cache, fake = FeatureCache(tmp_path), cast("Any", Lengths())
    rows = ["x" * n for n in range(1, 100)]
    with cache.rooms() as room:
        found = features_by(in_threads(fake, fake, 2), fake, rows, room=room)
    assert isinstance(found[0], np.memmap)
    np.testing.assert_array_equal(found[0], fake.features(rows))
    cache.put("key", found[0])
    kept = cache.get("key")
    assert kept is not None
    kept[0] = -1
    np.testing.assert_array_equal(np.asarray(cache.get("key")), fake.features(rows))
    assert [path.name for path in tmp_path.iterdir()] == ["key.npy"]


def test_sequences_of_all_batches_are_filled_up_to_the_longest() -> None:
    rows = ["x" * n for n in range(1, 2 * BATCH)]
    fake: Any = Lengths()
    _, sequences = compute_features(fake, fake, rows)
    assert sequences.shape == (len(rows), len(rows), 1)
    assert np.array_equal((sequences > 0).sum((1, 2)), [len(row) for row in rows])


def test_batch_holds_no_more_than_the_task_allows() -> None:
    lengths = Lengths()
    lengths.largest_batch = 20
    compute(["x" * 10] * 5 + ["y" * 30], lengths)
    assert lengths.batches == [0] * 4


def test_progress_counts_rows_and_may_stop() -> None:
    seen: list[int] = []
    compute(["x"] * (BATCH + 5), progress=seen.append)
    assert seen == [BATCH, BATCH + 5]

    def stop(_: int) -> None:
        raise CancelledRunError("stop")

    with pytest.raises(CancelledRunError):
        compute(["x"] * (BATCH + 5), progress=stop)


def test_batching_does_not_change_real_features(
    tiny_bert: Path, exported: Home, plugins: Plugins
) -> None:
    from regraft.export.frozen import frozen_backbone

    source = plugins.open_source(str(tiny_bert))
    task = plugins.task("text-classification")(source.inputs, ("a", "b"))
    blob = frozen_backbone(source, source.features[0], exported).blob
    backbone = Backbone(exported.blobs.path(blob.sha256), Runtime())
    rows = ["good film " * (n % 7 + 1) for n in range(BATCH + 3)]
    alone = np.concatenate([backbone.features(task.encode([row])) for row in rows])
    np.testing.assert_allclose(compute_features(backbone, task, rows)[0], alone, atol=1e-5)


def test_cache_gives_back_what_was_put(tmp_path: Path) -> None:
    cache, features = FeatureCache(tmp_path), np.random.default_rng(0).random((3, 2))
    assert cache.get("key") is None
    cache.put("key", features)
    np.testing.assert_array_equal(cache.get("key"), features)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array"])
def test_damaged_cache_entry_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key.npy").write_bytes(content)
    assert FeatureCache(tmp_path).get("key") is None


def test_key_depends_on_backbone_encoding_and_each_row_in_order() -> None:
    variants = [
        ("a", "e", ["x", "y"]),
        ("b", "e", ["x", "y"]),
        ("a", "f", ["x", "y"]),
        ("a", "e", ["y", "x"]),
        ("a", "e", ["xy"]),
        ("a", "e", ["x", "y", ""]),
    ]
    assert len({features_key(*variant) for variant in variants}) == len(variants)
    assert features_key(*variants[0]) == features_key("a", "e", ("x", "y"))
