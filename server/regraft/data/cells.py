"""A cell as text: one spelling for equal values of any format."""

import math
import unicodedata
from typing import Any


def as_text(cell: Any) -> str | None:
    """The cell as NFC text: "" if nothing is there, None if it is no scalar.

    Numbers and booleans are spelled as in JSON, and a whole number without its fraction: "1".
    """
    match cell:
        case str():
            return unicodedata.normalize("NFC", cell)
        case None:
            return ""
        case bool():
            return str(cell).lower()
        case int():
            return str(cell)
        case float():
            return _number(cell)
    return None


def _number(cell: float) -> str:
    # Parquet files of data frames spell a missing cell as NaN.
    if math.isnan(cell):
        return ""
    return str(int(cell)) if cell.is_integer() else repr(cell)


def is_unicode(text: str) -> bool:
    """Whether the text can be written as UTF-8: JSON can escape half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
