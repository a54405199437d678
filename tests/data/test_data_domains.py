"""Data of two domains: labelled rows of the source, and of the target with labels or without."""

import pytest

from regraft.domain import Contents, Examples


def texts(*parts):
    return set().union(*(part.inputs for part in parts))


@pytest.fixture
def source(folder, rows):
    return folder.write("source.csv", rows("neg", "pos", count=50, texts="source"))


@pytest.fixture
def target(folder, rows):
    return folder.write("target.csv", rows("neg", "pos", count=20, texts="target"))


def test_labelled_rows_of_both_are_trained_on_and_only_the_targets_are_tested(folder, rows, source):
    data = folder.load(rows("neg", "pos", count=100), source_data=source)
    assert data.counts() == {"train": 220, "validation": 30, "test": 30, "source": 20}
    assert not any("source" in text for text in texts(data.validation, data.test))
    assert list(data.train.inputs[140:]) == [t for t in data.train.inputs if "source" in t]
    assert texts(data.source).isdisjoint(texts(data.train))


def test_rows_without_labels_may_have_any_columns_more(folder, rows, source):
    plain = folder.write("plain.csv", "id,text\n1,one\n2,two\n")
    data = folder.load(rows("neg", "pos"), unlabelled=plain)
    assert sorted(data.unlabelled.inputs) == ["one", "two"]
    assert set(data.unlabelled.labels) == {""}


def test_labels_of_rows_without_labels_are_not_looked_at(folder, rows):
    other = folder.write("other.csv", "text,label\none,what\ntwo,\n")
    data = folder.load(rows("neg", "pos"), unlabelled=other)
    assert data.labels == ("neg", "pos")
    assert data.counts()["unlabelled"] == 2


def test_without_rows_of_the_target_the_source_is_validated_on(folder, target, source):
    asked = {"data": None, "source_data": source, "test": target, "unlabelled": target}
    with pytest.raises(Exception, match="no row is left"):
        folder.load_spec(**asked)
    data = folder.load_spec(**{**asked, "unlabelled": None})
    assert data.counts() == {"train": 70, "validation": 16, "test": 40, "source": 14}
    assert all("target" in text for text in data.test.inputs)


def test_row_of_the_test_file_is_neither_trained_on_nor_unlabelled(folder, rows, target, source):
    seen = folder.write("seen.csv", "text\ntarget 0 neg\nanother\n")
    data = folder.load(rows("neg", "pos"), source_data=source, test=target, unlabelled=seen)
    assert list(data.unlabelled.inputs) == ["another"]
    assert any("1 rows of the unlabelled file were dropped" in note for note in data.notes)


def test_source_domain_may_lack_a_class_but_have_no_other(folder, rows, problems):
    part = folder.write("part.csv", rows("neg", texts="source"))
    assert folder.load(rows("neg", "pos"), source_data=part).counts()["source"] == 2
    other = folder.write("other.csv", rows("neg", "neutral", texts="source"))
    (problem, *_) = folder.problems(rows("neg", "pos"), source_data=other)
    assert problem.code == "unknown-label"
    assert problem.row > 10


def test_fingerprint_tells_of_every_file(folder, rows, source):
    alone = folder.load(rows("neg", "pos")).fingerprint
    assert folder.load(rows("neg", "pos"), source_data=source).fingerprint != alone


def test_joined_rows_keep_groups_keys_and_files():
    one = Examples(Contents((b"a",)), ("x",), (1,), ("g",), ("k",))
    other = Examples(Contents((b"b",)), ("y",), (1,), None, ("l",))
    joined = one.joined(other)
    assert (list(joined.inputs), joined.labels) == ([b"a", b"b"], ("x", "y"))
    assert (joined.groups, joined.keys) == (("g", ""), ("k", "l"))
    assert isinstance(joined.inputs, Contents)
