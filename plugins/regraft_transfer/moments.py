"""What standardises features."""

from typing import Any

import numpy as np


def moments(features: Any) -> tuple[Any, Any]:
    """The mean and the inverse deviation of each dimension."""
    mean = features.mean(0, dtype=np.float64)
    return mean, 1 / np.maximum(features.std(0, dtype=np.float64), 1e-6)
