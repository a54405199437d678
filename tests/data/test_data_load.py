"""Whole data sets: given test and validation files, subsets, notes, fingerprints."""

from pathlib import Path

import pytest

from regraft.contract import Columns, Task
from regraft.data.load import load_dataset
from regraft.domain import AdaptationSpec
from regraft.errors import UnsupportedError
from regraft.settings import Settings


class AnyTask(Task):
    columns = Columns(input=("text",))


def inputs(part):
    return set(part.inputs)


def test_the_parts_share_nothing_and_hold_everything(folder, rows):
    data = folder.load(rows("neg", "pos", count=100))
    assert data.labels == ("neg", "pos")
    assert data.counts() == {"train": 140, "validation": 30, "test": 30}
    assert len(inputs(data.train) | inputs(data.validation) | inputs(data.test)) == 200


def test_numbers_are_those_of_the_rows_in_the_file(folder, rows):
    content = rows("neg", "pos")
    lines = content.split("\n")
    part = folder.load(content).train
    for text, label, number in zip(part.inputs, part.labels, part.numbers, strict=True):
        assert lines[number] == f"{text},{label}"


def test_labels_are_stripped_and_inputs_are_not(folder, rows):
    data = folder.load(rows("neg", "pos", texts="  text").replace(",pos", ", pos "))
    assert data.labels == ("neg", "pos")
    assert all(text.startswith("  text") for text in data.train.inputs)


def test_labels_composed_and_decomposed_are_one(folder, rows):
    data = folder.load(rows("caf\u00e9", "cafe\u0301", "tea"))
    assert data.labels == ("caf\u00e9", "tea")


def test_references_are_resolved_by_the_caller(folder, rows):
    path = Path(folder.write("data.csv", rows("neg", "pos")))
    spec = AdaptationSpec(name="model", data="demo:data", source="any")
    asked = []
    load_dataset(spec, AnyTask, Settings(), lambda ref: asked.append(ref) or path)
    assert asked == ["demo:data"]


def test_a_given_test_file_is_the_test_part(folder, rows):
    test = folder.write("test.csv", rows("neg", "pos", count=2, texts="test"))
    data = folder.load(rows("neg", "pos", count=85), test=test)
    assert data.counts() == {"train": 140, "validation": 30, "test": 4}


def test_a_given_validation_file_is_the_validation_part(folder, rows):
    validation = folder.write("val.csv", rows("neg", "pos", count=2, texts="val"))
    data = folder.load(rows("neg", "pos", count=85), validation=validation)
    assert data.counts() == {"train": 140, "validation": 4, "test": 30}


def test_with_both_files_all_data_is_for_training(folder, rows):
    test = folder.write("test.csv", rows("neg", "pos", count=2, texts="test"))
    validation = folder.write("val.csv", rows("neg", "pos", count=2, texts="val"))
    data = folder.load(rows("neg", "pos", count=1), test=test, validation=validation)
    assert data.counts() == {"train": 2, "validation": 4, "test": 4}


def test_rows_that_are_in_the_test_file_too_are_dropped_from_the_data(folder, rows):
    test = folder.write("test.csv", "text,label\n text 0 neg ,pos\ntext 1 pos,pos\n")
    data = folder.load(rows("neg", "pos"), test=test)
    assert data.counts()["test"] == 2
    assert data.counts()["train"] + data.counts()["validation"] == 18
    assert not {"text 0 neg", "text 1 pos"} & (inputs(data.train) | inputs(data.validation))
    assert any("2 rows of the data file were dropped" in note for note in data.notes)


def test_rows_that_are_in_both_given_files_stay_in_the_test_file(folder, rows):
    test = folder.write("test.csv", rows("neg", "pos", count=2, texts="set"))
    validation = folder.write("val.csv", rows("neg", "pos", count=3, texts="set"))
    data = folder.load(rows("neg", "pos"), test=test, validation=validation)
    assert data.counts() == {"train": 20, "validation": 2, "test": 4}


def test_groups_of_the_test_file_are_dropped_from_the_data(folder):
    lines = [f"text {n},{'ab'[n % 2]},g{n // 2}" for n in range(40)]
    test = folder.write("test.csv", "text,label,who\nnew,a,g0\nold,b,\n")
    data = folder.load("\n".join(["text,label,who", *lines]), test=test, group_column="who")
    assert "g0" not in {*data.train.groups, *data.validation.groups}
    assert len(data.train) + len(data.validation) == 38


def test_data_that_is_all_in_the_test_file_is_refused(folder, rows):
    test = folder.write("test.csv", rows("neg", "pos"))
    (problem,) = folder.problems(rows("neg", "pos"), test=test)
    assert problem.code == "no-rows"


def test_labels_that_only_the_test_file_has_are_told_with_their_rows(folder, rows):
    test = folder.write("test.csv", "text,label\na,neg\nb,odd\nc,Pos\n")
    found = folder.problems(rows("neg", "pos"), test=test)
    assert [(p.code, p.row) for p in found] == [("unknown-label", 2), ("unknown-label", 3)]
    assert "'odd'" in found[0].message


def test_a_test_file_needs_the_columns_of_the_data(folder, rows):
    test = folder.write("test.csv", "text,class\na,neg\n")
    (problem,) = folder.problems(rows("neg", "pos"), test=test)
    assert problem.code == "no-such-column"
    assert "'text', 'class'" in problem.message


def test_a_class_that_the_test_file_lacks_is_noted(folder, rows):
    test = folder.write("test.csv", "text,label\na,neg\n")
    notes = folder.load(rows("neg", "pos"), test=test).notes
    assert "the test file has no row of 'pos'" in notes


def test_a_limit_keeps_that_many_rows_in_proportion(folder, rows):
    content = rows("neg", count=300) + "\n" + rows("pos", count=100).split("\n", 1)[1]
    data = folder.load(content, limit_rows=101)
    labels = data.train.labels + data.validation.labels + data.test.labels
    assert len(labels) == 101
    assert labels.count("pos") == 25
    assert any("101 of 400 rows" in note for note in data.notes)


def test_a_limit_leaves_three_rows_of_every_class(folder, rows):
    data = folder.load(rows("a", "b", "c"), limit_rows=2)
    assert data.counts() == {"train": 3, "validation": 3, "test": 3}


def test_a_limit_does_not_cut_groups(folder):
    lines = [f"text {n},{'ab'[n % 2]},g{n // 4}" for n in range(80)]
    data = folder.load("\n".join(["text,label,who", *lines]), group_column="who", limit_rows=24)
    groups = data.train.groups + data.validation.groups + data.test.groups
    assert len(groups) == 24
    assert {groups.count(group) for group in groups} == {4}


def test_a_limit_above_the_rows_changes_nothing(folder, rows):
    data = folder.load(rows("neg", "pos"), limit_rows=20)
    assert sum(data.counts().values()) == 20
    assert data.notes == ()


def test_spellings_of_a_label_are_kept_apart_and_noted(folder, rows):
    data = folder.load(rows("Pos", "pos", "neg"))
    assert data.labels == ("Pos", "neg", "pos")
    assert [note for note in data.notes if "'Pos', 'pos'" in note]


@pytest.mark.parametrize(("count", "noted"), [(60, False), (61, True)])
def test_imbalance_over_twenty_is_noted(folder, rows, count, noted):
    content = rows("many", count=count) + "\n" + rows("few", count=3).split("\n", 1)[1]
    notes = folder.load(content).notes
    assert any("imbalanced" in note for note in notes) == noted


def test_contradicting_labels_of_one_input_are_noted(folder, rows):
    data = folder.load(rows("neg", "pos") + "\ntext 0 neg ,pos")
    assert "1 inputs occur with more than one label" in data.notes


def test_guessed_columns_are_noted(folder, rows):
    notes = folder.load(rows("neg", "pos").replace("text,label", "review,mood")).notes
    assert [note for note in notes if "'review'" in note and "'mood'" in note]


def test_neither_path_nor_row_order_changes_fingerprint_or_parts(folder, rows):
    header, *lines = rows("neg", "pos").split("\n")
    first = folder.load("\n".join([header, *lines]))
    second = folder.load("\r\n".join([header, *reversed(lines)]), "other.csv")
    assert first.fingerprint == second.fingerprint
    assert first.train.inputs == second.train.inputs
    assert first.test.labels == second.test.labels


@pytest.mark.parametrize(
    ("old", "new"), [("text 0 neg", "text x neg"), ("0 neg,neg", "0 neg,pos"), ("label", "class")]
)
def test_any_change_of_the_content_changes_the_fingerprint(folder, rows, old, new):
    content = rows("neg", "pos")
    changed = content.replace(old, new, 1)
    assert folder.load(content).fingerprint != folder.load(changed).fingerprint


def test_another_grouping_has_another_fingerprint(folder):
    lines = [f"text {n},{'ab'[n % 2]},g{n}" for n in range(20)]
    content = "\n".join(["text,label,who", *lines])
    first = folder.load(content, group_column="who")
    second = folder.load(content.replace("g1\n", "g2\n"), group_column="who")
    assert first.fingerprint != second.fingerprint


@pytest.mark.parametrize(
    "asked", [{"seed": 1}, {"split": (0.5, 0.25, 0.25)}, {"limit_rows": 12}, {"test": "t.csv"}]
)
def test_another_split_has_another_fingerprint(folder, rows, asked):
    if "test" in asked:
        asked = {"test": folder.write("t.csv", "text,label\na,neg\n")}
    content = rows("neg", "pos")
    assert folder.load(content).fingerprint != folder.load(content, **asked).fingerprint


def test_the_test_files_content_is_in_the_fingerprint(folder, rows):
    test = folder.write("t.csv", "text,label\na,neg\n")
    first = folder.load(rows("neg", "pos"), test=test)
    folder.write("t.csv", "text,label\na,pos\n")
    assert folder.load(rows("neg", "pos"), test=test).fingerprint != first.fingerprint


@pytest.mark.parametrize("error", [RuntimeError, OSError, ValueError])
def test_a_reference_that_cannot_be_a_path_is_a_missing_file(problems, error):
    def resolve(reference):
        raise error("no home directory")

    spec = AdaptationSpec(name="model", data="~nouser/x.csv", source="any")
    (problem,) = problems(lambda: load_dataset(spec, AnyTask, Settings(), resolve))
    assert problem.code == "missing-file"
    assert "no home directory" in problem.message


def test_what_the_resolver_tells_the_user_goes_through():
    def resolve(reference):
        raise UnsupportedError("no such bucket")

    spec = AdaptationSpec(name="model", data="s3://x", source="any")
    with pytest.raises(UnsupportedError, match="no such bucket"):
        load_dataset(spec, AnyTask, Settings(), resolve)
