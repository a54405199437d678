"""Mel filters as Slaney's Auditory Toolbox (1998) makes them, with areas of one."""

from typing import Any

import numpy as np

LINEAR = 200 / 3
KNEE = 1000.0
STEP = np.log(6.4) / 27


def slaney_filters(rate: int, window: int, bands: int) -> Any:
    """Triangles [window / 2 + 1, bands] from 0 Hz to half the rate."""
    highest = _mels(rate / 2)
    edges = _hertz(np.linspace(0, highest, bands + 2))
    bins = np.fft.rfftfreq(window, 1 / rate)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling)) * 2 / (edges[2:] - edges[:-2])


def _mels(hertz: float) -> float:
    knee = KNEE / LINEAR
    return hertz / LINEAR if hertz < KNEE else float(knee + np.log(hertz / KNEE) / STEP)


def _hertz(mels: Any) -> Any:
    knee = KNEE / LINEAR
    return np.where(mels < knee, mels * LINEAR, KNEE * np.exp(STEP * (mels - knee)))
