"""Rows that also occur in a file which the user set aside."""

from collections.abc import Iterable

from regraft.domain import Examples


def without_overlap(examples: Examples, others: Iterable[Examples]) -> Examples:
    """The examples whose input (spaces around it aside) and group are in none of `others`."""
    inputs: set[str] = set()
    groups: set[str] = set()
    for other in others:
        inputs.update(text.strip() for text in other.identities)
        groups.update(filter(None, other.groups or ()))
    if not inputs:
        return examples
    own_groups = examples.groups or ("",) * len(examples)
    rows = enumerate(zip(examples.identities, own_groups, strict=True))
    return examples.take(
        row for row, (text, group) in rows if text.strip() not in inputs and group not in groups
    )
