"""Units: rows that must stay on one side of every split."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from regraft.domain import Examples


@dataclass(frozen=True)
class Units:
    """All rows of a data set, as units of row positions, and the class number of each row."""

    rows: Sequence[Sequence[int]]
    classes: Sequence[int]

    def classes_of(self, unit: int) -> set[int]:
        return {self.classes[row] for row in self.rows[unit]}

    def of_class(self) -> dict[int, list[int]]:
        """The units that hold a class, for each class."""
        holders = defaultdict(list)
        for unit in range(len(self.rows)):
            for number in self.classes_of(unit):
                holders[number].append(unit)
        return dict(holders)


def units_of(examples: Examples, labels: Sequence[str]) -> Units:
    """The connected components of rows by equal input (white space around it aside) and by group.

    The group "" connects nothing. One label alone stands for whatever a row's is.
    """
    parents = list(range(len(examples)))
    _connect(parents, (text.strip() for text in examples.identities))
    _connect(parents, examples.groups or ())
    units = defaultdict(list)
    for row in range(len(parents)):
        units[_root(parents, row)].append(row)
    numbers = {label: number for number, label in enumerate(labels)}
    alike = len(labels) == 1
    classes = [0 if alike else numbers[label] for label in examples.labels]
    return Units(list(units.values()), classes)


def _connect(parents: list[int], keys: Iterable[str]) -> None:
    first: dict[str, int] = {}
    for row, key in enumerate(keys):
        if key:
            parents[_root(parents, row)] = _root(parents, first.setdefault(key, row))


def _root(parents: list[int], row: int) -> int:
    while parents[row] != row:
        parents[row] = parents[parents[row]]
        row = parents[row]
    return row
