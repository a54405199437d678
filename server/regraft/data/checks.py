"""Rows as labelled examples, each of them checked."""

import base64
import json
from collections.abc import Iterator, Sequence
from typing import Any

from regraft.contract import Task
from regraft.data.cells import as_text, is_unicode
from regraft.data.columns import Roles
from regraft.data.contents import read_contents
from regraft.data.table import Table
from regraft.domain import Examples
from regraft.errors import DataError, Problem

MAX_CLASSES = 1000


def read_examples(table: Table, roles: Roles, task: type[Task]) -> Examples:
    """The rows of a table as examples; labels and groups are stripped, inputs are not.

    A row without a group has the group "". Raises DataError with the problems of all rows:
    empty-input, empty-label, unusable-input, unusable-label, unusable-group, bad-encoding.
    """
    inputs, keys, problems = _inputs_of(table, roles, task)
    labels, found = _labels(table, roles.label, task)
    problems += found
    groups = None
    if roles.group is not None:
        groups, found = _texts(table, roles.group, "group")
        problems += found
    if not problems and task.label_suffixes:
        problems = _unlike(inputs, labels, task)
    if problems:
        raise DataError(table.source, sorted(problems, key=lambda problem: problem.row or 0))
    return Examples(
        inputs=inputs,
        labels=tuple(label.strip() for label in labels),
        numbers=tuple(range(1, table.height + 1)),
        groups=None if groups is None else tuple(group.strip() for group in groups),
        keys=keys,
    )


def read_unlabelled(table: Table, roles: Roles, task: type[Task]) -> Examples:
    """The rows of a table as examples whose labels are "", whatever it says of them.

    Raises DataError with the problems of all rows: empty-input, unusable-input, bad-encoding.
    """
    inputs, keys, problems = _inputs_of(table, roles, task)
    if problems:
        raise DataError(table.source, sorted(problems, key=lambda problem: problem.row or 0))
    numbers = tuple(range(1, table.height + 1))
    return Examples(inputs, ("",) * table.height, numbers, keys=keys)


def _inputs_of(
    table: Table, roles: Roles, task: type[Task]
) -> tuple[Sequence[Any], tuple[str, ...] | None, list[Problem]]:
    """Inputs, their keys where they are no text, and what is wrong with some."""
    return _records(table, roles) if task.records else _inputs(table, roles, task)


def _labels(table: Table, column: str, task: type[Task]) -> tuple[list[str], list[Problem]]:
    """The column as text, or the files that it names in base64, and what is wrong with some."""
    if not task.label_suffixes:
        return _texts(table, column, "label")
    found = read_contents(table, column, task.check_label, task.largest_file)
    problems = [
        Problem(problem.code, f"the label: {problem.message}", problem.row)
        for problem in found.problems
    ]
    return [base64.b64encode(content).decode() for content in found.contents], problems


def _unlike(inputs: Sequence[Any], labels: Sequence[str], task: type[Task]) -> list[Problem]:
    """Files that cannot be the labels of their rows."""
    found = (
        task.check_pair(value, base64.b64decode(label))
        for value, label in zip(inputs, labels, strict=True)
    )
    return [
        Problem("unusable-label", f"the label: {reason}", row)
        for row, reason in enumerate(found, 1)
        if reason is not None
    ]


def _records(table: Table, roles: Roles) -> tuple[Sequence[Any], tuple[str, ...], list[Problem]]:
    """The columns of a record, its JSON as its key, and cells that are no text."""
    names = sorted(roles.records)
    columns, problems = [], []
    for name in names:
        cells, found = _texts(table, name, "value")
        columns.append(cells)
        problems += [problem for problem in found if problem.code != "empty-value"]
    rows = [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]
    return tuple(rows), tuple(json.dumps(row, ensure_ascii=False) for row in rows), problems


def _inputs(
    table: Table, roles: Roles, task: type[Task]
) -> tuple[Sequence[Any], tuple[str, ...] | None, list[Problem]]:
    """The inputs, keys where they are no text, and what is wrong with some."""
    column = roles.input
    if task.suffixes:
        found = read_contents(table, column, task.check, task.largest_file)
        return found.contents, found.keys, list(found.problems)
    texts, problems = _texts(table, column, "input")
    return tuple(texts), None, [*problems, *_refused(texts, task)]


def _texts(table: Table, column: str, role: str) -> tuple[list[str], list[Problem]]:
    """The column as text, "" where it cannot be, and what is wrong with it."""
    texts, problems = [], []
    for number, cell in enumerate(table.cells(column), 1):
        text = as_text(cell)
        if text is None:
            kind = type(cell).__name__
            message = f"the {role} is a {kind}, not a text, a number or a boolean"
            problems.append(Problem(f"unusable-{role}", message, number))
        elif not text.strip() and role != "group":
            problems.append(Problem(f"empty-{role}", f"the {role} is empty", number))
        elif not is_unicode(text):
            message = f"the {role} holds half of a surrogate pair, which is no character"
            problems.append(Problem("bad-encoding", message, number))
        texts.append(text or "")
    return texts, problems


def _refused(inputs: list[str], task: type[Task]) -> Iterator[Problem]:
    for number, text in enumerate(inputs, 1):
        reason = task.check(text) if text.strip() else None
        if reason is not None:
            yield Problem("unusable-input", reason, number)


def check_classes(source: str, labels: tuple[str, ...]) -> None:
    """Raises DataError (one-class, too-many-classes) for a label set that cannot be learnt."""
    if len(labels) < 2:
        message = f"every row has the label '{labels[0]}'; at least two classes are needed"
        raise DataError(source, [Problem("one-class", message)])
    if len(labels) > MAX_CLASSES:
        message = (
            f"{len(labels):,} different labels; the limit is {MAX_CLASSES:,}. "
            "Is --label-column the right column?"
        )
        raise DataError(source, [Problem("too-many-classes", message)])


def check_several(source: str, labels: tuple[str, ...], task: type[Task]) -> None:
    """Raises DataError (one-class) if what the labels are made of leaves nothing to tell."""
    if len(labels) < 2:
        found = f"'{labels[0]}' alone" if labels else "nothing"
        hint = "; 255 in a mask is no class: number them from 0 or 1" if task.label_suffixes else ""
        message = f"the labels hold {found}; at least two are needed{hint}"
        raise DataError(source, [Problem("one-class", message)])


def check_known(source: str, examples: Examples, labels: tuple[str, ...], task: type[Task]) -> None:
    """Raises DataError (unknown-label) with every row whose label is, or has within a mask, none of
    `labels`. Characters of a text may be unknown: they count as errors."""
    if not (task.classes or task.label_suffixes):
        return
    known = set(labels)
    problems = [
        Problem("unknown-label", f"no row of the data has the label '{label}'", number)
        for value, number in zip(examples.labels, examples.numbers, strict=True)
        for label in ([value] if task.classes else task.labels_of([value]))
        if label not in known
    ]
    if problems:
        raise DataError(source, problems)
