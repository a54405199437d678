"""Files as they are met in the wild: each is understood, or refused with a code and its row."""

import pytest

GOOD = "text,label\nAnna,a\nBob,b\n"
UNDERSTOOD = {
    "byte order mark": b"\xef\xbb\xbf" + GOOD.encode(),
    "lines of Windows": GOOD.replace("\n", "\r\n").encode(),
    "lines of old Macs": GOOD.replace("\n", "\r").encode(),
    "UTF-16": GOOD.encode("utf-16"),
    "no last line break": GOOD.rstrip().encode(),
    "blank lines": GOOD.replace("\n", "\n\n").encode(),
    "quoted line breaks": b'text,label\n"Anna\nand Eve",a\nBob,b\n',
    "quoted quotes": b'text,label\n"Anna said ""hi""",a\nBob,b\n',
    "semicolons": GOOD.replace(",", ";").encode(),
    "tabs": GOOD.replace(",", "\t").encode(),
    "other case": GOOD.replace("text,label", "Text,LABEL").encode(),
    "a column more": b"id,text,label\n1,Anna,a\n2,Bob,b\n",
    "labels with blanks around": b"text,label\nAnna, a \nBob,b\nEve,a\n",
    "Unicode forms mixed": "text,label\nAnna,é\nBob,b\nEve,e\u0301\n".encode(),
}
REFUSED = {
    "nothing": (b"", "no-rows"),
    "a head alone": (b"text,label\n", "no-rows"),
    "no label column": (b"text,other\nAnna,a\nBob,b\n", "unknown-column"),
    "an empty label": (b"text,label\nAnna,a\nBob,\n", "empty-label"),
    "an empty text": (b"text,label\nAnna,a\n,b\n", "empty-input"),
    "one class": (b"text,label\nAnna,a\nBob,a\n", "one-class"),
    "a row too long": (b"text,label\nAnna,a\nBob,b,c\n", "bad-row"),
    "a row too short": (b"text,label\nAnna,a\nBob\n", "bad-row"),
    "a column twice": (b"text,text,label\nAnna,x,a\nBob,y,b\n", "duplicate-column"),
    "another encoding": ("text,label\nAnna,ä\nBob,b\n".encode("latin-1"), "bad-encoding"),
    "a zero byte": (b"text,label\nAn\0na,a\nBob,b\n", "bad-row"),
    "a quote that is never closed": (b'text,label\n"Anna,a\nBob,b\n', "bad-row"),
}


@pytest.mark.parametrize("content", UNDERSTOOD.values(), ids=UNDERSTOOD)
def test_it_is_understood(folder, content):
    data = folder.load(content)
    assert len(data.labels) == 2


@pytest.mark.parametrize(("content", "code"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_with_its_code(folder, content, code):
    problems = folder.problems(content)
    assert code in {problem.code for problem in problems}
