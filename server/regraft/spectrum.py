"""The power spectrum of sound as a torch module, for source models that want it in their graph."""

import torch
from torch import Tensor, nn


class PowerSpectrum(nn.Module):
    """Samples [B, L] in, |Fourier|² [B, T, window / 2 + 1] of every `hop` samples out.

    Windows are centred: the first is at sample 0, before which the sound is mirrored; after its end
    there is silence. `T` is the greatest multiple of `together` that starts before the end. The
    Fourier transform is a product with a matrix: ONNX's own takes several times as long for windows
    that are no power of two.
    """

    fourier: Tensor

    def __init__(self, window: int, hop: int, together: int = 1) -> None:
        super().__init__()
        self.window = window
        self.hop = hop
        self.stride = hop * together
        self.together = together
        self.register_buffer("fourier", _windowed_fourier(window), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        half = self.window // 2
        frames = self.together * ((samples.shape[1] + self.stride - 1) // self.stride)
        before = samples[:, 1 : half + 1].flip(1)
        after = samples.new_zeros((samples.shape[0], half + self.stride))
        windows = torch.cat([before, samples, after], 1).unfold(1, self.window, self.hop)
        real, imaginary = (windows[:, :frames] @ self.fourier).chunk(2, -1)
        return real.square() + imaginary.square()


def _windowed_fourier(window: int) -> Tensor:
    """[window, 2 * bins]: cosines, then sines, under a Hann window; made in double precision."""
    time = torch.arange(window, dtype=torch.float64)
    angles = 2 * torch.pi * time[:, None] * torch.arange(window // 2 + 1) / window
    hann = torch.hann_window(window, dtype=torch.float64)[:, None]
    return torch.cat([angles.cos() * hann, angles.sin() * hann], 1).float()
