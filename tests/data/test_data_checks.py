"""Rows and classes that cannot be used."""

import json

import pytest


def found(folder, content, name="data.csv", **spec):
    return [(problem.code, problem.row) for problem in folder.problems(content, name, **spec)]


def test_problems_of_all_kinds_are_told_in_the_order_of_rows(folder):
    content = "text,label\n ,x\na,\nAAAH,x\n\u3000,  \nb,y\n"
    assert found(folder, content) == [
        ("empty-input", 1),
        ("empty-label", 2),
        ("unusable-input", 3),
        ("empty-input", 4),
        ("empty-label", 4),
    ]


def test_the_reason_of_the_task_is_told(folder):
    (problem,) = folder.problems("text,label\nAAAH,x\nb,y\n")
    assert problem.message == "no shouting"


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"text": None, "label": "x"}, "empty-input"),
        ({"text": "a"}, "empty-label"),
        ({"text": ["a"], "label": "x"}, "unusable-input"),
        ({"text": "a", "label": {"x": 1}}, "unusable-label"),
        ({"text": "a\ud800", "label": "x"}, "bad-encoding"),
        ({"text": "a", "label": "\udc80"}, "bad-encoding"),
    ],
)
def test_a_json_value_that_is_no_text_is_told(folder, row, code):
    lines = [{"text": "b", "label": "y"}, row]
    assert found(folder, "\n".join(map(json.dumps, lines)), "a.jsonl") == [(code, 2)]


def test_a_group_that_is_no_text_is_told(folder):
    lines = [{"text": "a", "label": "x", "g": [1]}, {"text": "b", "label": "y", "g": 2}]
    content = "\n".join(map(json.dumps, lines))
    assert found(folder, content, "a.jsonl", group_column="g") == [("unusable-group", 1)]


def test_one_class_is_not_enough(folder, rows):
    (problem,) = folder.problems(rows("pos"))
    assert problem.code == "one-class"
    assert "'pos'" in problem.message


def test_a_thousand_classes_are_the_most(folder, rows):
    thousand = [f"c{number}" for number in range(1000)]
    assert len(folder.load(rows(*thousand, count=3)).labels) == 1000
    assert found(folder, rows(*thousand, "more", count=3)) == [("too-many-classes", None)]


def test_every_class_with_too_few_rows_is_named_with_its_count(folder, rows):
    content = rows("many") + "\na,two\nb,two\nc,one\n"
    problems = folder.problems(content)
    assert [problem.code for problem in problems] == ["few-rows", "few-rows"]
    assert "'one' has 1 rows" in problems[0].message
    assert "'two' has 2 rows; at least 3" in problems[1].message


def test_duplicates_do_not_make_a_class_large_enough(folder, rows):
    (problem,) = folder.problems(rows("many") + "\na,few" * 5 + "\nb,few")
    assert problem.code == "few-rows"
    assert "6 rows in 2 groups or distinct inputs" in problem.message


def test_more_than_a_hundred_problems_are_counted(folder):
    assert len(folder.problems("text,label\n" + "a,\n" * 150)) == 100
