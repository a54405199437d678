"""Pooling of a Transformers encoder's hidden states."""

from typing import Any

from torch import Tensor, nn, stack


class MeanOfLayers(nn.Module):
    """The mean of the hidden layers `first` to `last` (the first layer is 1) over the real tokens:
    ids and mask [B, T] in, [B, D] out."""

    def __init__(self, encoder: Any, first: int, last: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.first = first
        self.last = last
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        outputs = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True
        )
        layers = outputs.hidden_states[self.first : self.last + 1]
        hidden = stack(layers).mean(0) if len(layers) > 1 else layers[0]
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
