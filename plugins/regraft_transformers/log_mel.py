"""Whisper's log-mel spectrogram as a module, so that it is part of the graph.

Radford et al. 2022, section 2.2: windows of 25 ms every 10 ms, 80 or 128 Slaney mel bands, base-10
logarithm, eight decades below the loudest, scaled to about -1 to 1.
"""

import torch
from torch import Tensor, nn

RATE = 16_000
WINDOW, HOP = 400, 160
LEAST = 1e-10


class LogMel(nn.Module):
    """Samples [B, L] in, bands [B, M, 2 * ceil(L / 320)] out; silence is meant to follow them.

    The spectrum is a product with the windowed Fourier matrix: ONNX's STFT takes several times as
    long for windows that are no power of two.
    """

    fourier: Tensor
    filters: Tensor

    def __init__(self, bands: int) -> None:
        super().__init__()
        from transformers.audio_utils import mel_filter_bank

        bins = WINDOW // 2 + 1
        filters = mel_filter_bank(bins, bands, 0.0, RATE / 2, RATE, "slaney", "slaney")
        self.register_buffer("filters", torch.tensor(filters, dtype=torch.float32))
        self.register_buffer("fourier", _windowed_fourier(bins))

    def forward(self, samples: Tensor) -> Tensor:
        frames = 2 * ((samples.shape[1] + 2 * HOP - 1) // (2 * HOP))
        before = samples[:, 1 : WINDOW // 2 + 1].flip(1)
        after = samples.new_zeros((samples.shape[0], WINDOW // 2 + 2 * HOP))
        windows = torch.cat([before, samples, after], 1).unfold(1, WINDOW, HOP)[:, :frames]
        real, imaginary = (windows @ self.fourier).chunk(2, -1)
        powers = (real.square() + imaginary.square()) @ self.filters
        decades = powers.clamp(min=LEAST).log10()
        floor = decades.amax((1, 2), keepdim=True) - 8
        return ((torch.maximum(decades, floor) + 4) / 4).transpose(1, 2)


def _windowed_fourier(bins: int) -> Tensor:
    """[WINDOW, 2 * bins]: cosines, then sines, under a Hann window; computed in double precision."""
    time = torch.arange(WINDOW, dtype=torch.float64)
    angles = 2 * torch.pi * time[:, None] * torch.arange(bins) / WINDOW
    window = torch.hann_window(WINDOW, dtype=torch.float64)[:, None]
    return torch.cat([angles.cos() * window, angles.sin() * window], 1).float()
