"""Loads a data set: all of it is checked before any of it is returned."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from regraft.contract import Task
from regraft.data.checks import (
    check_classes,
    check_known,
    check_several,
    read_examples,
    read_unlabelled,
)
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
"""The examples of each file, by its role: a field of the spec."""

ALIKE = ("every row",)
"""The one class of all rows, where labels are none."""

RIGHTS = ("test", "validation", "data", "source_data", "unlabelled")
"""Of a row that two files have, the first of these keeps it."""
HELD_OUT = 0.2
"""The share of the source domain's rows that tells how much of it is forgotten."""


def load_dataset(
    spec: AdaptationSpec,
    task: type[Task],
    settings: Settings,
    resolve: Callable[[str], Path] = Path,
) -> DataSet:
    """The data of a spec as parts that share no input and no group.

    `resolve` gives the local path of a reference. The same rows, seed and fractions give the same
    parts, whatever the order of the rows. Raises DataError with every problem found in a file.
    """
    tables = {
        role: read_table(
            reference, _local(reference, resolve), settings, task.suffixes, role != "unlabelled"
        )
        for role, reference in spec.references().items()
    }
    roles = choose_columns(tables[_main(spec)], task.columns, spec)
    ordered = {
        role: in_canonical_order(_examples(role, table, roles, task))
        for role, table in tables.items()
    }
    files = {role: examples for role, (examples, _) in ordered.items()}
    labels = _labels(spec, files, task)
    parts, borrowed, notes = _parts(spec, files, labels if task.classes else ALIKE)
    facts = {
        "columns": roles.names(),
        "rows": {role: digest for role, (_, digest) in ordered.items()},
        "split": [spec.split, spec.seed, spec.limit_rows],
    }
    if task.classes:
        notes = [*_class_notes(files, labels, _main(spec)), *notes]
    if roles.guessed:
        notes = [_guess(roles), *notes]
    if roles.numbering:
        listed = ", ".join(f"'{name}'" for name in roles.numbering)
        notes = [f"left out, since it only numbers the rows: the column {listed}", *notes]
    return DataSet(
        **parts,
        labels=labels,
        fingerprint=fingerprint(facts),
        notes=tuple(notes),
        borrowed=borrowed,
    )


def _main(spec: AdaptationSpec) -> str:
    """The file that says what the columns and the labels are."""
    return "source_data" if spec.data is None else "data"


def _local(reference: str, resolve: Callable[[str], Path]) -> Path:
    """The path of a reference; one that cannot be a path, such as ~nobody/x, is a missing file."""
    try:
        return resolve(reference)
    except RegraftError:
        raise
    except (RuntimeError, OSError, ValueError) as error:
        raise DataError(reference, [Problem("missing-file", f"no such path: {error}")]) from error


def _examples(role: str, table: Table, roles: Roles, task: type[Task]) -> Examples:
    """The rows of any of the files: the columns are those of the main one, which alone needs the
    group."""
    inputs = roles.records if task.records else (roles.input,)
    if role == "unlabelled":
        check_present(table, inputs)
        return read_unlabelled(table, roles, task)
    check_present(table, [*inputs, roles.label])
    known = roles if roles.group in table.names else replace(roles, group=None)
    return read_examples(table, known, task)


def _labels(spec: AdaptationSpec, files: Files, task: type[Task]) -> tuple[str, ...]:
    main, references = _main(spec), spec.references()
    labels = task.labels_of(files[main].labels)
    if not task.classes:
        check_several(references[main], labels, task)
    else:
        check_classes(references[main], labels)
    for role, reference in references.items():
        if role not in (main, "unlabelled"):
            check_known(reference, files[role], labels, task)
    return labels


def _parts(
    spec: AdaptationSpec, files: Files, labels: tuple[str, ...]
) -> tuple[dict[str, Examples], int, list[str]]:
    """The parts, how many training rows are of the source domain, and notes on the rows that are in
    none."""
    given, notes = _set_apart(spec, files)
    main, rng = _main(spec), np.random.default_rng(spec.seed)
    data = given.pop(main)
    if spec.limit_rows is not None and spec.limit_rows < len(data):
        kept = subset(data, labels, spec.limit_rows, rng)
        notes.append(f"{len(kept):,} of {len(data):,} rows are used (limit_rows)")
        data = kept
    fractions = dict(zip(("train", "validation", "test"), spec.split, strict=True))
    if spec.data is None:
        # The target's test part is a file; that of the source domain tells what is forgotten.
        fractions["source"] = fractions.pop("test")
    wanted = {part: share for part, share in fractions.items() if part not in given}
    parts = split(spec.references()[main], data, labels, wanted, rng)
    borrowed = len(parts["train"]) if spec.data is None else 0
    if "source_data" in given:
        rows = given.pop("source_data")
        shares = {"train": 1 - HELD_OUT, "source": HELD_OUT}
        known = tuple(label for label in labels if label in {*rows.labels}) or labels
        other = split(spec.references()["source_data"], rows, known, shares, rng)
        borrowed = len(other["train"])
        parts = {**parts, "train": parts["train"].joined(other["train"]), "source": other["source"]}
    return {**parts, **given}, borrowed, notes


def _set_apart(spec: AdaptationSpec, files: Files) -> tuple[dict[str, Examples], list[str]]:
    """The files without the rows that a file with more of a right to them has."""
    kept: dict[str, Examples] = {}
    notes = []
    for role in [role for role in RIGHTS if role in files]:
        kept[role] = without_overlap(files[role], kept.values())
        dropped = len(files[role]) - len(kept[role])
        if dropped:
            others = " or ".join(other for other in kept if other != role)
            reason = f"their input or group is in the {others} file too"
            notes.append(f"{dropped:,} rows of the {role} file were dropped: {reason}")
            if not kept[role]:
                problem = Problem("no-rows", f"no row is left: {reason}")
                raise DataError(spec.references()[role], [problem])
    return kept, notes


def _guess(roles: Roles) -> str:
    return f"the column '{roles.input}' was taken for the input and '{roles.label}' for the label"


def _class_notes(files: Files, labels: tuple[str, ...], main: str) -> list[str]:
    notes = label_notes(files[main].labels) + contradiction_notes(files[main])
    for role, examples in files.items():
        if role != "unlabelled":
            notes += missing_class_notes(role, examples, labels)
    return notes
