"""Which columns hold the input, the label and the group."""

from collections.abc import Iterable
from dataclasses import dataclass

from regraft.contract import Columns
from regraft.data.table import Table
from regraft.domain import AdaptationSpec
from regraft.errors import DataError, Problem
from regraft.row_numbers import numbers_rows

FEWER = 2
"""Of two unnamed columns, the label has at most this part (a half) of the other's values."""


@dataclass(frozen=True)
class Roles:
    """The names of the columns to use; `guessed` if neither the user nor the task names them."""

    input: str
    label: str
    group: str | None = None
    guessed: bool = False
    records: tuple[str, ...] = ()
    """The columns of a record, where rows are records."""
    numbering: tuple[str, ...] = ()
    """Columns that are left out, since they number the rows."""

    def names(self) -> tuple[str, ...]:
        return tuple(name for name in (self.input, self.label, self.group) if name)


def choose_columns(table: Table, columns: Columns, spec: AdaptationSpec) -> Roles:
    """The columns that the spec names, else those the task expects, else what can be only so.

    Raises DataError: no-such-column, ambiguous-columns.
    """
    check_present(table, [spec.input_column, spec.label_column, spec.group_column])
    if not columns.input:
        return _of_records(table, columns, spec)
    taken = {spec.input_column, spec.label_column, spec.group_column}
    free = [name for name in table.names if name not in taken]
    input_column = spec.input_column or _expected(table, free, columns.input)
    label_column = spec.label_column or _expected(
        table, [name for name in free if name != input_column], columns.label
    )
    if input_column and label_column:
        return _distinct(table, Roles(input_column, label_column, spec.group_column))
    rest = [name for name in free if name not in (input_column, label_column)]
    found = _remaining(table, rest, input_column, label_column)
    if found is None:
        raise _ambiguous(table, "cannot tell which column is the text and which the label")
    return _distinct(table, Roles(*found, spec.group_column, guessed=True))


def _of_records(table: Table, columns: Columns, spec: AdaptationSpec) -> Roles:
    """Rows are records: there is no column of inputs, and the label's must be named or expected."""
    if spec.input_column is not None:
        raise _problem(table, "all columns but the label are inputs: leave --input-column out")
    free = [name for name in table.names if name != spec.group_column]
    label = spec.label_column or _expected(table, free, columns.label)
    if label is None:
        raise _ambiguous(table, "cannot tell which column is the label")
    if len(free) < 2:
        raise _nothing(table, "the label")
    rest = [name for name in free if name != label]
    numbering = tuple(name for name in rest if numbers_rows(name, table.cells(name)))
    names = tuple(name for name in rest if name not in numbering)
    if not names:
        raise _nothing(table, f"the label and {_quoted(numbering)}, which numbers the rows")
    return Roles("", label, spec.group_column, records=names, numbering=numbering)


def _nothing(table: Table, known: str) -> DataError:
    told = f"there is no column beside {known}: a row needs some that tell something"
    return DataError(table.source, [Problem("ambiguous-columns", told)])


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def check_present(table: Table, names: Iterable[str | None]) -> None:
    """Raises DataError (no-such-column) for names, None aside, that the table has not."""
    found = _listed(table)
    problems = [
        Problem("no-such-column", f"there is no column '{name}'; the header has {found}")
        for name in names
        if name is not None and name not in table.names
    ]
    if problems:
        raise DataError(table.source, problems)


def _expected(table: Table, free: list[str], wanted: Iterable[str]) -> str | None:
    for name in wanted:
        fitting = [column for column in free if column.casefold() == name.casefold()]
        if len(fitting) > 1:
            raise _ambiguous(table, f"more than one column could be '{name}'")
        if fitting:
            return fitting[0]
    return None


def _remaining(
    table: Table, rest: list[str], input_column: str | None, label_column: str | None
) -> tuple[str, str] | None:
    match rest, input_column, label_column:
        case [only], str(), None:
            return input_column, only
        case [only], None, str():
            return only, label_column
        case [first, second], None, None:
            return _by_values(table, first, second)
    return None


def _by_values(table: Table, first: str, second: str) -> tuple[str, str] | None:
    one, other = (len({str(cell) for cell in table.cells(name)}) for name in (first, second))
    if other * FEWER <= one:
        return first, second
    if one * FEWER <= other:
        return second, first
    return None


def _distinct(table: Table, roles: Roles) -> Roles:
    names = roles.names()
    if len(set(names)) < len(names):
        raise _ambiguous(table, "a column cannot be two of text, label and group")
    return roles


def _ambiguous(table: Table, reason: str) -> DataError:
    if len(table.names) < 2:
        return _problem(table, "there is only one column: a row needs an input and a label")
    return _problem(table, reason, ". Name them with --input-column and --label-column")


def _problem(table: Table, reason: str, more: str = "") -> DataError:
    message = f"{reason}; the header has {_listed(table)}{more}"
    return DataError(table.source, [Problem("ambiguous-columns", message)])


def _listed(table: Table) -> str:
    return _quoted(table.names)
