"""Loads a data set: all of it is checked before any of it is returned."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from regraft.contract import Task
from regraft.data.checks import check_classes, check_known, check_several, read_examples
from regraft.data.columns import Roles, check_present, choose_columns
from regraft.data.fingerprint import fingerprint, in_canonical_order
from regraft.data.notes import contradiction_notes, label_notes, missing_class_notes
from regraft.data.overlap import without_overlap
from regraft.data.reading import read_table
from regraft.data.split import split, subset
from regraft.data.table import Table
from regraft.domain import AdaptationSpec, DataSet, Examples
from regraft.errors import DataError, Problem, RegraftError
from regraft.settings import Settings

Files = Mapping[str, Examples]
"""The examples of each file, by its role: data, validation, test."""

ALIKE = ("every row",)
"""The one class of all rows, where labels are none."""


def load_dataset(
    spec: AdaptationSpec,
    task: type[Task],
    settings: Settings,
    resolve: Callable[[str], Path] = Path,
) -> DataSet:
    """The data of a spec as three parts that share no input and no group.

    `resolve` gives the local path of a reference. The same rows, seed and fractions give the same
    parts, whatever the order of the rows. Raises DataError with every problem found in a file.
    """
    tables = {
        role: read_table(reference, _local(reference, resolve), settings, task.suffixes)
        for role, reference in _references(spec).items()
    }
    roles = choose_columns(tables["data"], task.columns, spec)
    ordered = {
        role: in_canonical_order(_examples(table, roles, task)) for role, table in tables.items()
    }
    files = {role: examples for role, (examples, _) in ordered.items()}
    labels = _labels(spec, files, task)
    parts, notes = _parts(spec, files, labels if task.classes else ALIKE)
    facts = {
        "columns": roles.names(),
        "rows": {role: digest for role, (_, digest) in ordered.items()},
        "split": [spec.split, spec.seed, spec.limit_rows],
    }
    if task.classes:
        notes = [*_class_notes(files, labels), *notes]
    if roles.guessed:
        notes = [_guess(roles), *notes]
    return DataSet(**parts, labels=labels, fingerprint=fingerprint(facts), notes=tuple(notes))


def _local(reference: str, resolve: Callable[[str], Path]) -> Path:
    """The path of a reference; one that cannot be a path, such as ~nobody/x, is a missing file."""
    try:
        return resolve(reference)
    except RegraftError:
        raise
    except (RuntimeError, OSError, ValueError) as error:
        raise DataError(reference, [Problem("missing-file", f"no such path: {error}")]) from error


def _references(spec: AdaptationSpec) -> dict[str, str]:
    references = {"data": spec.data, "validation": spec.validation, "test": spec.test}
    return {role: reference for role, reference in references.items() if reference is not None}


def _examples(table: Table, roles: Roles, task: type[Task]) -> Examples:
    """The rows of any of the files: the columns are those of DATA, which alone needs the group."""
    inputs = roles.records if task.records else (roles.input,)
    check_present(table, [*inputs, roles.label])
    known = roles if roles.group in table.names else replace(roles, group=None)
    return read_examples(table, known, task)


def _labels(spec: AdaptationSpec, files: Files, task: type[Task]) -> tuple[str, ...]:
    labels = task.labels_of(files["data"].labels)
    if not task.classes:
        check_several(spec.data, labels, task)
        return labels
    check_classes(spec.data, labels)
    for role, reference in _references(spec).items():
        check_known(reference, files[role], labels)
    return labels


def _parts(
    spec: AdaptationSpec, files: Files, labels: tuple[str, ...]
) -> tuple[dict[str, Examples], list[str]]:
    """The three parts, and notes on the rows that are in none."""
    given, notes = _set_apart(spec, files)
    data, rng = given.pop("data"), np.random.default_rng(spec.seed)
    if spec.limit_rows is not None and spec.limit_rows < len(data):
        kept = subset(data, labels, spec.limit_rows, rng)
        notes.append(f"{len(kept):,} of {len(data):,} rows are used (limit_rows)")
        data = kept
    fractions = dict(zip(("train", "validation", "test"), spec.split, strict=True))
    wanted = {part: share for part, share in fractions.items() if part not in given}
    return {**split(spec.data, data, labels, wanted, rng), **given}, notes


def _set_apart(spec: AdaptationSpec, files: Files) -> tuple[dict[str, Examples], list[str]]:
    """The files without the rows that a file with more of a right to them has: test has most."""
    kept: dict[str, Examples] = {}
    notes = []
    for role in [role for role in ("test", "validation", "data") if role in files]:
        kept[role] = without_overlap(files[role], kept.values())
        dropped = len(files[role]) - len(kept[role])
        if dropped:
            others = " or ".join(other for other in kept if other != role)
            reason = f"their input or group is in the {others} file too"
            notes.append(f"{dropped:,} rows of the {role} file were dropped: {reason}")
            if not kept[role]:
                problem = Problem("no-rows", f"no row is left: {reason}")
                raise DataError(_references(spec)[role], [problem])
    return kept, notes


def _guess(roles: Roles) -> str:
    return f"the column '{roles.input}' was taken for the input and '{roles.label}' for the label"


def _class_notes(files: Files, labels: tuple[str, ...]) -> list[str]:
    notes = label_notes(files["data"].labels) + contradiction_notes(files["data"])
    for role, examples in files.items():
        notes += missing_class_notes(role, examples, labels)
    return notes
