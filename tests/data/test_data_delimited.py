"""CSV and TSV as tables."""

import pytest


def test_quotes_hold_separators_quotes_and_line_ends(folder):
    table = folder.read("a.csv", 'text,label\r\n"a, ""b""\r\nc",x\r\n')
    assert table.cells("text") == ['a, "b"\r\nc']
    assert table.cells("label") == ["x"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_ends_a_row(folder, end):
    table = folder.read("a.csv", end.join(["text,label", "a,x", "b,y"]))
    assert table.cells("label") == ["x", "y"]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_byte_order_mark_is_no_part_of_the_header(folder, name):
    content = b"\xef\xbb\xbftext,label\na,x\n".replace(b",", b"\t" if name == "a.tsv" else b",")
    assert folder.read(name, content).names == ("text", "label")


def test_the_header_alone_chooses_the_semicolon(folder):
    table = folder.read("a.csv", "text;label\na, b, c, d;x\n")
    assert table.cells("text") == ["a, b, c, d"]


def test_a_comma_in_the_header_beats_semicolons_in_the_rows(folder):
    table = folder.read("a.csv", "text,label\na; b; c,x\n")
    assert table.cells("text") == ["a; b; c"]


def test_a_quoted_semicolon_in_the_header_separates_nothing(folder):
    assert folder.read("a.csv", '"a;b;c",label\nx,y\n').names == ("a;b;c", "label")


def test_tsv_keeps_commas(folder):
    assert folder.read("a.tsv", "text\tlabel\na, b\tx\n").cells("text") == ["a, b"]


def test_blank_lines_are_no_rows(folder):
    table = folder.read("a.csv", "\ntext,label\n\na,x\n\n")
    assert (table.names, table.height) == (("text", "label"), 1)


def test_a_cell_may_be_longer_than_the_limit_of_the_csv_module(folder):
    table = folder.read("a.csv", f"text,label\n{'a' * 200_000},x\n")
    assert len(table.cells("text")[0]) == 200_000


def test_every_ragged_row_is_told(folder, problems):
    found = problems(lambda: folder.read("a.csv", "text,label\na\nb,x\nc,d,x\n"))
    assert [(p.code, p.row) for p in found] == [("ragged-row", 1), ("ragged-row", 3)]
    assert found[1].message.startswith("3 cells where the header has 2")


@pytest.mark.parametrize("row", ['"never closed,x\nc,y\n', '"closed" early,x\n'])
def test_broken_quotes_are_told_with_their_row(folder, problems, row):
    (problem,) = problems(lambda: folder.read("a.csv", f"text,label\na,x\n{row}"))
    assert (problem.code, problem.row) == ("bad-csv", 2)


def test_column_names_that_occur_twice_are_ambiguous(folder, problems):
    (problem,) = problems(lambda: folder.read("a.csv", "text,label,text\na,x,b\n"))
    assert problem.code == "ambiguous-columns"
    assert "'text'" in problem.message


@pytest.mark.parametrize("content", ["", "\n\n", "text,label\n", "\ufeff"])
def test_a_file_without_data_rows_is_told(folder, problems, content):
    assert [p.code for p in problems(lambda: folder.read("a.csv", content))] == ["no-rows"]
