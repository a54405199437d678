"""Files that are not UTF-8."""

import pytest


def test_a_bad_byte_is_told_with_its_row_and_offset(folder, problems):
    content = b'text,label\n"a\nb",x\ncaf\xe9,y\n'
    (problem,) = problems(lambda: folder.read("a.csv", content))
    assert (problem.code, problem.row) == ("bad-encoding", 2)
    assert f"offset {content.index(0xE9)} " in problem.message
    assert "UTF-8" in problem.message


def test_the_offset_counts_the_bytes_of_a_byte_order_mark_and_of_wide_characters(folder, problems):
    content = b"\xef\xbb\xbftext,label\n" + "ж€😀".encode() + b"\xff,x\n"
    (problem,) = problems(lambda: folder.read("a.csv", content))
    assert f"offset {content.index(0xFF)} " in problem.message


def test_every_row_with_bad_bytes_is_told_once(folder, problems):
    content = b"text\tlabel\n\xe9\xe8\tx\nb\tx\nc\t\xea\n"
    first, second = problems(lambda: folder.read("a.tsv", content))
    assert (first.row, second.row) == (1, 3)
    assert f"offset {content.index(0xE9)} " in first.message
    assert f"offset {content.index(0xEA)} " in second.message


def test_a_bad_byte_in_the_header_has_no_row(folder, problems):
    (problem,) = problems(lambda: folder.read("a.csv", b"t\xe9xt,label\na,x\n"))
    assert (problem.code, problem.row) == ("bad-encoding", None)


def test_a_bad_byte_in_json_lines_is_told_with_its_row(folder, problems):
    content = b'{"text": "a"}\n\n{"text": "\xe9"}\n'
    (problem,) = problems(lambda: folder.read("a.jsonl", content))
    assert (problem.code, problem.row) == ("bad-encoding", 2)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_file_in_a_wider_encoding_is_named(folder, problems, encoding, name):
    (problem,) = problems(lambda: folder.read(name, "text,label\na,x\n".encode(encoding)))
    assert problem.code == "bad-encoding"
    assert encoding.upper() in problem.message
