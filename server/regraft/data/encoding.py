"""Text files as strict UTF-8, and where they are not."""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from regraft.errors import DataError, Problem

ADVICE = "save the file as UTF-8"
# UTF-32 first: its little-endian mark begins with that of UTF-16.
FOREIGN_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
ESCAPED_BYTE = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True)
class TextFile:
    """The text of a file, from byte `start` on (after the byte order mark, if it has one).

    A byte that is not UTF-8 stands as a lone surrogate, so that a format's parser can tell its row.
    """

    source: str
    text: str
    start: int

    def check_encoding(self, rows: Iterable[Iterable[str]], first: int) -> None:
        """Raises DataError with every row that has bytes which are not UTF-8.

        `rows` are the cells of all rows, numbered from `first`; number 0 is the header.
        """
        if ESCAPED_BYTE.search(self.text) is None:
            return
        offsets = self._escaped_offsets()
        problems = []
        for number, cells in enumerate(rows, first):
            count = sum(len(ESCAPED_BYTE.findall(cell)) for cell in cells)
            for offset in list(islice(offsets, count))[:1]:
                message = f"the byte at offset {offset} is not UTF-8; {ADVICE}"
                problems.append(Problem("bad-encoding", message, number or None))
        raise DataError(self.source, problems)

    def _escaped_offsets(self) -> Iterator[int]:
        place, offset = 0, self.start
        for found in ESCAPED_BYTE.finditer(self.text):
            between = self.text[place : found.start()]
            offset += len(between.encode("utf-8", "surrogateescape"))
            place = found.start()
            yield offset


def read_text(source: str, path: Path) -> TextFile:
    """The file as text; raises DataError if its byte order mark is that of UTF-16 or UTF-32."""
    data = path.read_bytes()
    for mark, name in FOREIGN_MARKS:
        if data.startswith(mark):
            raise DataError(source, [Problem("bad-encoding", f"the file is {name}; {ADVICE}")])
    content = data.removeprefix(codecs.BOM_UTF8)
    text = content.decode("utf-8", "surrogateescape")
    return TextFile(source, text, len(data) - len(content))
