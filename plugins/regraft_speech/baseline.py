"""What can be had without a pretrained model, from statistics of MFCCs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.fft import dct
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from regraft_speech.sound import decode, resampled
from regraft_speech.transcripts import one_hot

RATE = 16_000
WINDOW, HOP = 400, 160
BANDS, COEFFICIENTS = 40, 20
LONGEST = 30.0
STRENGTH = 0.1
PARTS = 8


class CepstralStatistics(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Files as [N, 80]: mean and deviation over time of 20 MFCCs and of their changes."""

    def fit(self, files: Sequence[bytes], targets: Any = None) -> "CepstralStatistics":
        return self

    def transform(self, files: Sequence[bytes]) -> Any:
        return np.stack([_statistics(mfcc(sound_of(content))) for content in files])


def sound_of(content: bytes) -> Any:
    return resampled(*decode(content, LONGEST), RATE)


def mfcc(values: Any) -> Any:
    """Mel-frequency cepstral coefficients [T, 20] of 16 kHz (Davis & Mermelstein 1980)."""
    padded = np.pad(values, (0, max(0, WINDOW - len(values))))
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    powers = np.abs(np.fft.rfft(windows * np.hanning(WINDOW))) ** 2
    bands = np.log(powers @ mel_filters() + 1e-8)
    return dct(bands, axis=1, norm="ortho")[:, :COEFFICIENTS]


def mel_filters() -> Any:
    """Triangles [bins, bands] that are evenly spaced on the mel scale (HTK's formula)."""
    highest = 2595 * np.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, highest, BANDS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(WINDOW, 1 / RATE)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling))


def _statistics(coefficients: Any) -> Any:
    changes = np.diff(coefficients, axis=0) if len(coefficients) > 1 else coefficients * 0
    parts = [f(array, axis=0) for array in (coefficients, changes) for f in (np.mean, np.std)]
    return np.concatenate(parts)


def mfcc_logistic_regression(seed: int) -> Any:
    model = LogisticRegression(C=STRENGTH, max_iter=1000, random_state=seed)
    return make_pipeline(CepstralStatistics(), StandardScaler(), model)


class NearestTranscript(BaseEstimator):  # type: ignore[misc]
    """For each file the transcript of the file, of those it was fitted on, with the nearest MFCCs:
    their course in eight parts of the time, standardised."""

    def __init__(self, symbols: int) -> None:
        self.symbols = symbols

    def fit(self, files: Sequence[bytes], targets: Any) -> "NearestTranscript":
        courses = self._courses(files)
        self.mean_, self.deviation_ = courses.mean(0), courses.std(0) + 1e-6
        self.courses_ = (courses - self.mean_) / self.deviation_
        self.outputs_ = one_hot(targets, self.symbols)
        return self

    def predict_proba(self, files: Sequence[bytes]) -> Any:
        asked = (self._courses(files) - self.mean_) / self.deviation_
        nearest = [((self.courses_ - course) ** 2).sum(1).argmin() for course in asked]
        return self.outputs_[nearest]

    def _courses(self, files: Sequence[bytes]) -> Any:
        return np.stack([_course(mfcc(sound_of(content))) for content in files])


def _course(coefficients: Any) -> Any:
    parts = np.array_split(coefficients, PARTS)
    return np.concatenate([p.mean(0) if len(p) else coefficients.mean(0) for p in parts])
