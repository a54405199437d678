"""Puts units into parts, near to the number of rows of each class that a part is due."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from regraft.data.units import Units

Quotas = Sequence[Sequence[int]]


def place(
    units: Units, quotas: Quotas, least: Sequence[int], order: Sequence[int]
) -> list[list[int]]:
    """The row positions of each part, ascending.

    `quotas[part][class]` are rows, `least[part]` is how many units of every class the part should
    hold. Units are placed in this order, each where it is due most, so those with several classes
    can leave a part short of `least`; another order may not.
    """
    part_of = _greedy(units, quotas, order)
    _repair(units, part_of, least)
    parts: list[list[int]] = [[] for _ in least]
    for unit, part in enumerate(part_of):
        parts[part].extend(units.rows[unit])
    return [sorted(rows) for rows in parts]


def large_first(units: Units, rng: np.random.Generator) -> list[int]:
    """The units by size, in random order among equals: small ones fill up what large ones leave."""
    return sorted(any_order(units, rng), key=lambda unit: -len(units.rows[unit]))


def any_order(units: Units, rng: np.random.Generator) -> list[int]:
    """The units in random order."""
    return [int(unit) for unit in rng.permutation(len(units.rows))]


def _greedy(units: Units, quotas: Quotas, order: Sequence[int]) -> list[int]:
    """The part of each unit: where its classes lack most rows."""
    needs = [list(quota) for quota in quotas]
    part_of = [0] * len(units.rows)
    for unit in order:
        held = [units.classes[row] for row in units.rows[unit]]
        lacks = [sum([need[number] for number in held]) for need in needs]
        part = lacks.index(max(lacks))
        for number in held:
            needs[part][number] -= 1
        part_of[unit] = part
    return part_of


def _repair(units: Units, part_of: list[int], least: Sequence[int]) -> None:
    """Moves small units to parts that hold too few of a class, rare classes first."""
    holders = units.of_class()
    held = [Counter[int]() for _ in least]
    for number, those in holders.items():
        for unit in those:
            held[part_of[unit]][number] += 1

    def spare(unit: int) -> bool:
        part = part_of[unit]
        return all(held[part][number] > least[part] for number in units.classes_of(unit))

    for number in sorted(holders, key=lambda number: (len(holders[number]), number)):
        for part, minimum in enumerate(least):
            while held[part][number] < minimum:
                able = [u for u in holders[number] if part_of[u] != part and spare(u)]
                if not able:
                    break
                unit = min(able, key=lambda unit: len(units.rows[unit]))
                for other in units.classes_of(unit):
                    held[part_of[unit]][other] -= 1
                    held[part][other] += 1
                part_of[unit] = part
