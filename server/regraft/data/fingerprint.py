"""What a data set is, whatever its file is called and however its rows are ordered."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from regraft.domain import Examples


def in_canonical_order(examples: Examples) -> tuple[Examples, str]:
    """The rows ordered by their hashes, and the SHA-256 of all of them.

    The order makes everything that follows (subset, split, order within the parts) depend on
    the rows alone, so that equal fingerprints mean equal parts: caches rely on that.
    """
    groups: Iterable[str | None] = examples.groups or (None for _ in examples.labels)
    rows = zip(examples.identities, examples.labels, groups, strict=True)
    hashes = [hashlib.sha256(json.dumps(row).encode()).digest() for row in rows]
    order = sorted(range(len(hashes)), key=hashes.__getitem__)
    whole = hashlib.sha256(b"".join(hashes[row] for row in order))
    return examples.take(order), whole.hexdigest()


def fingerprint(contents: Mapping[str, Any]) -> str:
    """The SHA-256 of these facts, which are ready for JSON."""
    return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()
