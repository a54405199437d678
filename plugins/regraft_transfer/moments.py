"""What standardises features."""

from typing import Any

import numpy as np

LEAST = 1e-6
"""A dimension that varies by less is constant."""


def moments(features: Any) -> tuple[Any, Any]:
    """The mean and the inverse deviation of each dimension; 0 for one that never varies, since
    nothing is known of what another value would mean."""
    mean, deviation = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
    return mean, np.where(deviation > LEAST, 1 / np.maximum(deviation, LEAST), 0.0)
