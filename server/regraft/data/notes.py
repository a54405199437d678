"""What is worth telling about a data set that is not wrong."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from regraft.domain import Examples

IMBALANCE = 20


def label_notes(labels: Iterable[str]) -> list[str]:
    """Labels that differ only in case or white space, and classes of very unlike size."""
    counts = Counter(labels)
    spellings = defaultdict(list)
    for label in sorted(counts):
        spellings["".join(label.split()).casefold()].append(f"'{label}'")
    notes = [
        f"the labels {', '.join(alike)} differ only in case or white space; they are kept apart"
        for alike in spellings.values()
        if len(alike) > 1
    ]
    (most, largest), (least, smallest) = counts.most_common()[0], counts.most_common()[-1]
    if largest > IMBALANCE * smallest:
        notes.append(
            f"the classes are imbalanced: '{most}' has {largest:,} rows, '{least}' {smallest:,}; "
            "with --class-weights each counts alike"
        )
    return notes


def contradiction_notes(examples: Examples) -> list[str]:
    """Equal inputs with different labels, which no model can get right."""
    labels: dict[str, str] = {}
    contradicted = set()
    for text, label in zip(examples.identities, examples.labels, strict=True):
        if labels.setdefault(text.strip(), label) != label:
            contradicted.add(text.strip())
    count = len(contradicted)
    return [f"{count:,} inputs occur with more than one label"] if count else []


def missing_class_notes(part: str, examples: Examples, labels: Iterable[str]) -> list[str]:
    """Classes of which a file that the user gave has no row."""
    present = set(examples.labels)
    missing = [f"'{label}'" for label in labels if label not in present]
    return [f"the {part} file has no row of {', '.join(missing)}"] if missing else []
