"""Which columns are taken."""

import pytest

from regraft.contract import Columns
from regraft.data.columns import Roles, choose_columns
from regraft.data.table import Table
from regraft.domain import AdaptationSpec

TASK = Columns(input=("text", "sentence"))


def table(**columns):
    height = len(next(iter(columns.values())))
    return Table("data", tuple(columns), height, columns.__getitem__)


def choose(found, task=TASK, **asked):
    spec = AdaptationSpec(name="model", data="data", source="any", **asked)
    return choose_columns(found, task, spec)


def test_names_of_the_task_are_found_in_any_case():
    assert choose(table(id=[1], LABEL=["x"], Text=["a"])) == Roles("Text", "LABEL")


def test_the_first_name_of_the_task_wins():
    assert choose(table(sentence=["a"], text=["b"], label=["x"])).input == "text"


def test_the_input_is_not_the_label_too_when_a_name_would_fit_both():
    found = table(target=["a"], y=["x"])
    assert choose(found, Columns(input=("target",))) == Roles("target", "y")


def test_overrides_beat_the_names_of_the_task():
    found = table(text=["a"], label=["x"], body=["b"], kind=["y"])
    assert choose(found, input_column="body", label_column="kind") == Roles("body", "kind")


def test_a_group_column_is_neither_text_nor_label():
    found = table(text=["a"], who=["b"], mood=["x"])
    roles = choose(found, group_column="who")
    assert roles == Roles("text", "mood", "who", guessed=True)


@pytest.mark.parametrize("names", [("review", "mood"), ("mood", "review")])
def test_of_two_unnamed_columns_the_label_has_far_fewer_values(names):
    cells = {"review": list("abcdefgh"), "mood": list("xyxyxyxy")}
    roles = choose(table(**{name: cells[name] for name in names}))
    assert roles == Roles("review", "mood", guessed=True)


def test_two_unnamed_columns_alike_are_ambiguous(problems):
    (problem,) = problems(lambda: choose(table(one=list("abcd"), two=list("efgg"))))
    assert problem.code == "ambiguous-columns"
    assert "'one', 'two'" in problem.message
    assert "--input-column" in problem.message
    assert "--label-column" in problem.message


def test_a_missing_label_among_more_columns_is_ambiguous(problems):
    (problem,) = problems(lambda: choose(table(text=["a"], one=["x"], two=["y"])))
    assert problem.code == "ambiguous-columns"


def test_columns_that_differ_only_in_case_are_ambiguous(problems):
    (problem,) = problems(lambda: choose(table(Text=["a"], TEXT=["b"], label=["x"])))
    assert problem.code == "ambiguous-columns"


def test_an_override_that_is_not_there_lists_what_is(problems):
    asked = {"input_column": "body", "label_column": "kind"}
    found = problems(lambda: choose(table(good=["bad"], pos=["neg"]), **asked))
    assert [problem.code for problem in found] == ["no-such-column"] * 2
    assert "'good', 'pos'" in found[0].message


def test_one_column_cannot_be_text_and_label(problems):
    asked = {"input_column": "text", "label_column": "text"}
    (problem,) = problems(lambda: choose(table(text=["a"], label=["x"]), **asked))
    assert problem.code == "ambiguous-columns"


def test_one_column_alone_cannot_be_named_better(problems):
    (problem,) = problems(lambda: choose(table(text=list("abcd"))))
    assert "there is only one column" in problem.message
    assert "--label-column" not in problem.message
