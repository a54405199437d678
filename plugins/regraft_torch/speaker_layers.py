"""The torch module of the speaker encoder."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from regraft.spectrum import PowerSpectrum
from regraft_torch.mel import slaney_filters
from regraft_torch.speaker import LAYERS, RATE, SIZE

WINDOW, HOP, BANDS = 400, 160, 40
VOLUME, SILENCE = 10 ** (-30 / 20), 10 ** (-80 / 20)
"""Root mean squares: -30 dB of full scale, to which recordings are raised, and -80, below which
there is nothing to raise."""


class SpeakerLayers(nn.Module):
    """Samples [B, L] and their real lengths [B] in, a tensor [B, 256] for each name out."""

    filters: Tensor

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names
        self.spectrum = PowerSpectrum(WINDOW, HOP)
        filters = torch.from_numpy(slaney_filters(RATE, WINDOW, BANDS)).float()
        self.register_buffer("filters", filters, persistent=False)
        depth = max(LAYERS if name == "embedding" else int(name.split("-")[1]) for name in names)
        sizes = (BANDS, *[SIZE] * LAYERS)
        self.layers = nn.ModuleList(nn.LSTM(sizes[n], SIZE, batch_first=True) for n in range(depth))
        self.linear = nn.Linear(SIZE, SIZE) if "embedding" in names else None

    def forward(self, samples: Tensor, lengths: Tensor) -> Any:
        hidden = self.spectrum(samples * _gain(samples, lengths)) @ self.filters
        steps = ((lengths + HOP - 1) // HOP).unsqueeze(1)
        mask = (
            (torch.arange(hidden.shape[1], device=lengths.device) < steps)
            .unsqueeze(-1)
            .to(hidden.dtype)
        )
        states, exporting = [], torch.onnx.is_in_onnx_export()
        for layer in self.layers:
            learnt = exporting and any(True for _ in layer.parameters())
            hidden = onnx_lstm(layer, hidden) if learnt else layer(hidden)[0]
            states.append(hidden)
        found = tuple(self._ending(name, states, mask, steps) for name in self.names)
        return found if len(found) > 1 else found[0]

    def _ending(self, name: str, states: list[Tensor], mask: Tensor, steps: Tensor) -> Tensor:
        if name != "embedding":
            layer = states[int(name.split("-")[1]) - 1]
            return (layer * mask).sum(1) / mask.sum(1).clamp(min=1)
        last = (steps - 1).clamp(min=0).unsqueeze(-1).expand(-1, 1, SIZE)
        assert self.linear is not None
        raw = self.linear(states[-1].gather(1, last).squeeze(1)).relu()
        length: Tensor = raw.norm(dim=1, keepdim=True)
        unit: Tensor = raw / length.clamp(min=1e-6)
        return unit


def _gain(samples: Tensor, lengths: Tensor) -> Tensor:
    """[B, 1]: what raises a quiet recording to the volume that the network learnt from, as its
    authors do. Beyond the real samples are zeros."""
    power = samples.square().sum(1, keepdim=True) / lengths.clamp(min=1).unsqueeze(1)
    return (VOLUME / power.sqrt().clamp(min=SILENCE)).clamp(min=1)


def onnx_lstm(layer: Any, hidden: Tensor) -> Tensor:
    """ONNX's operator for the layer, since torch's own is traced step by step, for a minute. There
    time comes first, and the gates are i, o, f, c."""
    inner, again, *biases = (
        parameter.unflatten(0, (4, SIZE))[[0, 3, 1, 2]].flatten(0, 1)
        for parameter in layer.parameters()
    )
    given = (hidden.transpose(0, 1), inner[None], again[None], torch.cat(biases)[None])
    steps, batch, _ = given[0].shape
    found = torch.onnx.ops.symbolic(
        "::LSTM", given, {"hidden_size": SIZE}, dtype=hidden.dtype, shape=(steps, 1, batch, SIZE)
    )
    return found.squeeze(1).transpose(0, 1)


def speaker_layers(weights: Path | None, names: tuple[str, ...]) -> nn.Module:
    """With these weights; without, always the same random ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = SpeakerLayers(names)
    if weights is not None:
        module.load_state_dict(_renamed(weights, module))
    return module


def _renamed(path: Path, module: nn.Module) -> dict[str, Tensor]:
    """The state of the file under our names: there the layers are one LSTM. A checked file."""
    whole = torch.load(path, map_location="cpu", weights_only=True)["model_state"]  # noqa: TID251
    names = {}
    for name in module.state_dict():
        layer = name.split(".")[1] if name.startswith("layers.") else ""
        names[name] = name.replace(f"layers.{layer}.", "lstm.").replace("_l0", f"_l{layer}")
    return {ours: whole[theirs] for ours, theirs in names.items()}
