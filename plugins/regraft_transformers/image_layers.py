"""Encoders of images as modules that give any of their layers."""

from typing import Any

import torch
from torch import Tensor, nn

from regraft_transformers.image import layer_of


class ImageLayers(nn.Module):
    """Pixels [B, H, W, 3] of 0 to 255 in, a tensor for each name out. The last layer of an encoder
    of patches comes after the final norm if the encoder is `whole`."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, model: Any, names: tuple[str, ...], scale: Any, whole: bool) -> None:
        super().__init__()
        self.model = model
        self.names = names
        self.whole = whole
        if getattr(model, "pooler", None) is not None:
            model.pooler = nn.Identity()
        for name, values in zip(("mean", "deviation"), scale, strict=True):
            tensor = torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1)
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, pixels: Tensor) -> Any:
        scaled = (pixels.permute(0, 3, 1, 2).to(self.mean.dtype) - self.mean) / self.deviation
        states = self._states(scaled)
        found = tuple(self._ending(states[layer_of(name)], name) for name in self.names)
        return found if len(found) > 1 else found[0]

    def _states(self, scaled: Tensor) -> list[Tensor]:
        outputs = self.model(scaled, output_hidden_states=True)
        maps = getattr(outputs, "reshaped_hidden_states", None)
        states = list(outputs.hidden_states if maps is None else maps)
        if self.whole and outputs.last_hidden_state.shape == states[-1].shape:
            states[-1] = outputs.last_hidden_state
        return states

    def _ending(self, state: Tensor, name: str) -> Tensor:
        if state.ndim == 4:
            return state if name.count("-") == 1 else state.mean((2, 3))
        if name.endswith("-first"):
            return state[:, 0]
        patches = state[:, self._others(state) :]
        if name.endswith("-mean"):
            return patches.mean(1)
        side = int(patches.shape[1] ** 0.5)
        return patches.transpose(1, 2).reshape(state.shape[0], state.shape[2], side, side)

    def _others(self, state: Tensor) -> int:
        """How many tokens are of no patch: what is more than a square."""
        return int(state.shape[1]) - int(state.shape[1] ** 0.5) ** 2
