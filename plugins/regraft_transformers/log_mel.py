"""Whisper's log-mel spectrogram as a module, so that it is part of the graph.

Radford et al. 2022, section 2.2: windows of 25 ms every 10 ms, 80 or 128 Slaney mel bands, base-10
logarithm, eight decades below the loudest, scaled to about -1 to 1.
"""

import torch
from torch import Tensor, nn

from regraft.spectrum import PowerSpectrum

RATE = 16_000
WINDOW, HOP = 400, 160
LEAST = 1e-10


class LogMel(nn.Module):
    """Samples [B, L] in, bands [B, M, 2 * ceil(L / 320)] out; silence is meant to follow them."""

    filters: Tensor

    def __init__(self, bands: int) -> None:
        super().__init__()
        from transformers.audio_utils import mel_filter_bank

        filters = mel_filter_bank(WINDOW // 2 + 1, bands, 0.0, RATE / 2, RATE, "slaney", "slaney")
        self.register_buffer("filters", torch.tensor(filters, dtype=torch.float32))
        self.spectrum = PowerSpectrum(WINDOW, HOP, together=2)

    def forward(self, samples: Tensor) -> Tensor:
        decades = (self.spectrum(samples) @ self.filters).clamp(min=LEAST).log10()
        floor = decades.amax((1, 2), keepdim=True) - 8
        return ((torch.maximum(decades, floor) + 4) / 4).transpose(1, 2)
