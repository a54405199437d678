"""JSON Lines as tables."""

import pytest


def test_keys_are_columns_and_what_a_line_lacks_is_none(folder):
    table = folder.read("a.jsonl", '{"text": "a", "label": 1}\n{"label": true, "more": null}\n')
    assert table.names == ("text", "label", "more")
    assert table.cells("text") == ["a", None]
    assert table.cells("label") == [1, True]


def test_a_byte_order_mark_is_stripped(folder):
    assert folder.read("a.jsonl", '\ufeff{"text": "a"}').cells("text") == ["a"]


def test_only_line_ends_end_a_line(folder):
    table = folder.read("a.jsonl", '{"text": "a\u2028b\x85c"}\r\n{"text": "d"}\r{"text": "e"}')
    assert table.cells("text") == ["a\u2028b\x85c", "d", "e"]


@pytest.mark.parametrize("line", ["{", "[1]", '"a"', '{"a": 1, "a": 2}', "[" * 100_000, "1 2"])
def test_a_line_that_is_no_object_is_told_with_its_row(folder, problems, line):
    (problem,) = problems(lambda: folder.read("a.jsonl", f'{{"text": "a"}}\n{line}\n'))
    assert (problem.code, problem.row) == ("bad-json", 2)


def test_every_bad_line_is_told(folder, problems):
    found = problems(lambda: folder.read("a.jsonl", 'x\n{"text": "a"}\ny\n'))
    assert [problem.row for problem in found] == [1, 3]


def test_an_empty_file_has_no_rows(folder, problems):
    assert [p.code for p in problems(lambda: folder.read("a.jsonl", "\n"))] == ["no-rows"]
