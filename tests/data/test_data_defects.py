"""Files as they are met in the wild: each is understood, or refused with a code and its row."""

import pytest

ROWS = "Anna,a\nBob,b\n" + "".join(f"Eve {n},{label}\n" for n in range(4) for label in "ab")
GOOD = f"text,label\n{ROWS}"
UNDERSTOOD = {
    "byte order mark": b"\xef\xbb\xbf" + GOOD.encode(),
    "lines of Windows": GOOD.replace("\n", "\r\n").encode(),
    "lines of old Macs": GOOD.replace("\n", "\r").encode(),
    "no last line break": GOOD.rstrip().encode(),
    "blank lines": GOOD.replace("\n", "\n\n").encode(),
    "quoted line breaks": GOOD.replace("Anna", '"Anna\nand Eve"').encode(),
    "quoted quotes": GOOD.replace("Anna", '"Anna said ""hi"""').encode(),
    "other case": GOOD.replace("text,label", "Text,LABEL").encode(),
    "a column more": "\n".join(f"1,{line}" for line in GOOD.splitlines()).encode(),
    "labels with blanks around": GOOD.replace(",a", ", a ").encode(),
    "Unicode forms mixed": GOOD.replace(",a", ",é", 2).replace(",a", ",e\u0301").encode(),
}
REFUSED = {
    "nothing": ("", "no-rows", None),
    "a head alone": ("text,label\n", "no-rows", None),
    "UTF-16": (GOOD.encode("utf-16"), "bad-encoding", None),
    "another encoding": (GOOD.replace("Anna", "Änna").encode("latin-1"), "bad-encoding", 1),
    "no column of labels": ("text,p,q\nAnna,a,1\nBob,b,2\n", "ambiguous-columns", None),
    "a column twice": ("text,text,label\nAnna,x,a\nBob,y,b\n", "ambiguous-columns", None),
    "an empty label": (GOOD.replace("Bob,b", "Bob,"), "empty-label", 2),
    "an empty text": (GOOD.replace("Bob,b", ",b"), "empty-input", 2),
    "blanks for a text": (GOOD.replace("Bob,b", "  ,b"), "empty-input", 2),
    "a text that the task refuses": (GOOD.replace("Bob,b", "AAAH,b"), "unusable-input", 2),
    "one class": (GOOD.replace(",b", ",a"), "one-class", None),
    "a class of two": (GOOD + "Jo,c\nTim,c\n", "few-rows", None),
    "a row too long": (GOOD.replace("Bob,b", "Bob,b,c"), "ragged-row", 2),
    "a row too short": (GOOD.replace("Bob,b", "Bob"), "ragged-row", 2),
    "a quote that is never closed": (GOOD.replace("Bob", '"Bob'), "bad-csv", 2),
}


@pytest.mark.parametrize("content", UNDERSTOOD.values(), ids=UNDERSTOOD)
def test_it_is_understood(folder, content):
    assert len(folder.load(content).labels) == 2


@pytest.mark.parametrize(("content", "code", "row"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_with_its_code_and_row(folder, content, code, row):
    problems = folder.problems(content)
    assert (code, row) in {(problem.code, problem.row) for problem in problems}
