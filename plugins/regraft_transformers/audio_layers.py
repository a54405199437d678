"""Encoders of sound as modules that give any of their layers, blind to padding."""

from typing import Any

import torch
from torch import Tensor, nn

from regraft import Feature
from regraft_transformers.log_mel import LogMel

STRIDE = 320
"""Samples of 16 kHz to a step of Whisper's encoder."""


class AudioLayers(nn.Module):
    """Samples [B, L] and their real lengths [B] in, a tensor for each feature out.

    A feature is called `layer-N-mean`, `layer-N-mean-std` (both pooled over the real steps) or
    `layer-N` (all steps, zeros beyond the real ones).
    """

    def __init__(self, encoder: nn.Module, features: tuple[Feature, ...]) -> None:
        super().__init__()
        self.encoder = encoder
        self.names = tuple(feature.name for feature in features)

    def forward(self, samples: Tensor, lengths: Tensor) -> Any:
        layers, mask = self.encoder(samples, lengths)
        found = tuple(_ending(layers[layer_of(name)], mask, name) for name in self.names)
        return found if len(found) > 1 else found[0]


def layer_of(name: str) -> int:
    """The number in a feature's name; 0 is what goes into the first layer."""
    return int(name.split("-")[1])


def _ending(hidden: Tensor, mask: Tensor, name: str) -> Tensor:
    """Hidden states [B, T, D] as the feature; mask [B, T, 1] is 1 for real steps."""
    if name.count("-") == 1:
        return hidden * mask
    count = mask.sum(1).clamp(min=1)
    mean = (hidden * mask).sum(1) / count
    if not name.endswith("-std"):
        return mean
    variance = ((hidden - mean.unsqueeze(1)).square() * mask).sum(1) / count
    return torch.cat([mean, (variance + 1e-6).sqrt()], 1)


class WhisperLayers(nn.Module):
    """Whisper's encoder (Radford et al. 2022) up to a layer, on as many steps as there are.

    Transformers' own forward takes 30 seconds always. Here steps beyond a row's end are zero for
    the convolutions and hidden from attention, so that a short clip costs little and means the same
    in any batch. With `window` rows come as 30 seconds and all of them count, as in its training.
    """

    def __init__(self, encoder: Any, last: int, window: bool) -> None:
        super().__init__()
        self.window = window
        self.spectrum = LogMel(encoder.conv1.in_channels)
        self.conv1, self.conv2 = encoder.conv1, encoder.conv2
        self.positions = encoder.embed_positions
        whole = last == len(encoder.layers)
        self.layers = encoder.layers[:last]
        self.norm = encoder.layer_norm if whole else None

    def forward(self, samples: Tensor, lengths: Tensor) -> tuple[list[Tensor], Tensor]:
        bands = self.spectrum(samples)
        if self.window:
            lengths = torch.full_like(lengths, samples.shape[1])
        steps = ((lengths + STRIDE - 1) // STRIDE).unsqueeze(1)
        fine = (
            (torch.arange(bands.shape[2], device=lengths.device) < 2 * steps)
            .unsqueeze(1)
            .to(bands.dtype)
        )
        hidden = nn.functional.gelu(self.conv1(bands * fine)) * fine
        hidden = nn.functional.gelu(self.conv2(hidden)).transpose(1, 2)
        real = torch.arange(hidden.shape[1], device=lengths.device) < steps
        hidden = hidden + self.positions.weight[: hidden.shape[1]]
        hide = hidden_from_attention(real, hidden)
        states = [hidden]
        for layer in self.layers:
            hidden = _first(layer(hidden, hide))
            states.append(hidden)
        if self.norm is not None:
            states[-1] = self.norm(states[-1])
        return states, real.unsqueeze(-1).to(hidden.dtype)


class WaveformLayers(nn.Module):
    """An encoder of raw sound like wav2vec 2.0 (Baevski et al. 2020), up to the layer it was made
    with. `normalise` brings each row to mean 0 and variance 1."""

    def __init__(self, model: Any, normalise: bool, whole: bool) -> None:
        super().__init__()
        self.model = model
        self.normalise = normalise
        self.whole = whole
        model.masked_spec_embed = None
        if model.config.do_stable_layer_norm and not whole:
            model.encoder.layer_norm = None

    def forward(self, samples: Tensor, lengths: Tensor) -> tuple[list[Tensor], Tensor]:
        real = torch.arange(samples.shape[1], device=lengths.device) < lengths.unsqueeze(1)
        if self.normalise:
            samples = _normalised(samples, real.to(samples.dtype))
        found = self._convolved(samples.unsqueeze(1), lengths)
        steps = self.model._get_feat_extract_output_lengths(lengths).unsqueeze(1)
        real = torch.arange(found.shape[1], device=lengths.device) < steps
        mask = real.unsqueeze(-1).to(found.dtype)
        return self._encoded(_first(self.model.feature_projection(found)) * mask, real), mask

    def _encoded(self, hidden: Tensor, real: Tensor) -> list[Tensor]:
        """Every layer's states; the norm is before the layers or, where those have their own
        before them, after the last."""
        encoder = self.model.encoder
        hidden = hidden + encoder.pos_conv_embed(hidden)
        hide = hidden_from_attention(real, hidden)
        early = not self.model.config.do_stable_layer_norm
        hidden = encoder.layer_norm(hidden) if early else hidden
        states = [hidden]
        for layer in encoder.layers:
            hidden = _first(layer(hidden, attention_mask=hide))
            states.append(hidden)
        if not early and self.whole:
            states[-1] = encoder.layer_norm(states[-1])
        return states

    def _convolved(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """The convolutions' output [B, T, C]; a norm over time counts real steps only."""
        for layer in self.model.feature_extractor.conv_layers:
            kernel, stride = layer.conv.kernel_size[0], layer.conv.stride[0]
            lengths = (lengths - kernel) // stride + 1
            norm = getattr(layer, "layer_norm", None)
            if isinstance(norm, nn.GroupNorm):
                hidden = layer.conv(hidden)
                real = (
                    torch.arange(hidden.shape[2], device=lengths.device) < lengths.unsqueeze(1)
                ).unsqueeze(1)
                hidden = layer.activation(_over_time(hidden, real.to(hidden.dtype), norm))
            else:
                hidden = layer(hidden)
        return hidden.transpose(1, 2)


def hidden_from_attention(real: Tensor, hidden: Tensor) -> Tensor:
    """What is added to attention scores [B, heads, T, T] so that steps that are not real count
    for nothing."""
    return torch.where(real, 0.0, torch.finfo(hidden.dtype).min)[:, None, None, :]


def _first(found: Any) -> Any:
    return found[0] if isinstance(found, tuple) else found


def _normalised(samples: Tensor, real: Tensor) -> Tensor:
    count = real.sum(1, keepdim=True).clamp(min=1)
    mean = (samples * real).sum(1, keepdim=True) / count
    variance = ((samples - mean).square() * real).sum(1, keepdim=True) / count
    return (samples - mean) / (variance + 1e-7).sqrt() * real


def _over_time(hidden: Tensor, real: Tensor, norm: nn.GroupNorm) -> Tensor:
    """A group norm with a group a channel, over the real steps of [B, C, T]."""
    count = real.sum(2, keepdim=True).clamp(min=1)
    mean = (hidden * real).sum(2, keepdim=True) / count
    variance = ((hidden - mean).square() * real).sum(2, keepdim=True) / count
    standard = (hidden - mean) / (variance + norm.eps).sqrt()
    return standard * norm.weight[:, None] + norm.bias[:, None]
