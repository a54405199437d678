"""Arrays of rows."""

from collections.abc import Sequence

import numpy as np

from regraft.contract import Array


def joined_rows(parts: Sequence[Array]) -> Array:
    """Batches as one, each padded at the end with zeros to the greatest length of any."""
    shape = np.max([part.shape[1:] for part in parts], 0)
    widths = [
        [(0, 0), *((0, most - n) for most, n in zip(shape, p.shape[1:], strict=True))]
        for p in parts
    ]
    return np.concatenate([np.pad(part, width) for part, width in zip(parts, widths, strict=True)])
