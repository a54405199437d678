"""Whisper's own decoder as a head that transcribes: greedy, with its text as characters."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._higher_order_ops.while_loop import while_loop

from regraft_transformers.characters import CHARACTERS

LONGEST = 96
"""Tokens of a transcript, of which the model was trained on 224 at most."""
LETTERS = 12
"""Characters of a token; longer ones are cut."""


class WhisperTranscriber(nn.Module):
    """States of 30 seconds [B, T, D] in, outputs of speech recognition [B, steps, 1 + C] out: ones
    and zeros that spell the likeliest token after the other (Radford et al. 2022, no timestamps, no
    beams). A blank follows each character, so that none is taken for a repetition."""

    spelling: Tensor
    prompt: Tensor

    def __init__(self, decoder: Any, vocabulary: "Vocabulary") -> None:
        super().__init__()
        self.decoder = decoder.requires_grad_(False)
        self.end = vocabulary.end
        self.register_buffer("spelling", torch.tensor(vocabulary.spelling()))
        self.register_buffer("prompt", torch.tensor(vocabulary.prompt))

    def forward(self, states: Tensor) -> Tensor:
        tokens = self._tokens(states)
        symbols = self.spelling[tokens].flatten(1)
        spaced = torch.stack([symbols, torch.zeros_like(symbols)], 2).flatten(1)
        return nn.functional.one_hot(spaced, 1 + len(CHARACTERS)).to(states.dtype)

    def _tokens(self, states: Tensor) -> Tensor:
        """[B, LONGEST]; the end fills what is not needed. Ends once every row has ended."""
        layers = self.decoder.layers
        across = [(a.k_proj(states), a.v_proj(states)) for a in (n.encoder_attn for n in layers)]
        rows, size = states.shape[0], states.shape[2]
        empty = states.new_zeros((len(layers), rows, LONGEST, size)) + 0 * states[:, :1]
        ends = torch.full((rows, LONGEST), self.end) + 0 * states[:, :1, 0].long()

        def goes_on(step: Tensor, keys: Tensor, values: Tensor, tokens: Tensor) -> Tensor:
            last = tokens.gather(1, (step - 1).clamp(min=0).expand(rows, 1))
            return (step < LONGEST) & ((step < len(self.prompt)) | (last != self.end).any())

        def advance(step: Tensor, keys: Tensor, values: Tensor, tokens: Tensor) -> Any:
            known = tokens.gather(1, (step - 1).clamp(min=0).expand(rows, 1))[:, 0]
            given = torch.where(step == 0, self.prompt[0], known)
            found, keys, values = self._step(given, step, (keys, values), across)
            ended = (step >= len(self.prompt)) & (known == self.end)
            found = torch.where(ended, self.end, found)
            following = at(self.prompt, (step + 1).clamp(max=len(self.prompt) - 1))
            found = torch.where(step + 1 < len(self.prompt), following, found)
            here = torch.arange(LONGEST, device=tokens.device) == step
            return step + 1, keys, values, torch.where(here, found[:, None], tokens)

        start = (torch.tensor(0), empty, empty.clone(), ends)
        tokens: Tensor = while_loop(goes_on, advance, start)[3]  # type: ignore[no-untyped-call]
        return tokens[:, len(self.prompt) - 1 :]

    def _step(self, token: Tensor, step: Tensor, cache: Any, across: Any) -> Any:
        """The likeliest next token [B] after this one, and the keys and values with its own."""
        decoder, (keys, values) = self.decoder, cache
        # The loop may take a parameter once: the words are what goes in and what comes out.
        words = decoder.embed_tokens.weight
        hidden = words.index_select(0, token) + at(decoder.embed_positions.weight, step)
        places = torch.arange(LONGEST, device=token.device)
        new_keys, new_values = [], []
        for number, layer in enumerate(decoder.layers):
            inner = layer.self_attn_layer_norm(hidden)
            own = layer.self_attn
            here = (places == step)[None, :, None]
            key = torch.where(here, own.k_proj(inner)[:, None], keys[number])
            value = torch.where(here, own.v_proj(inner)[:, None], values[number])
            attended = attend(own.q_proj(inner), key, value, own.num_heads, places <= step)
            hidden = hidden + own.out_proj(attended)
            inner = layer.encoder_attn_layer_norm(hidden)
            other = layer.encoder_attn
            known, content = across[number]
            attended = attend(other.q_proj(inner), known, content, other.num_heads, None)
            hidden = hidden + other.out_proj(attended)
            inner = layer.final_layer_norm(hidden)
            hidden = hidden + layer.fc2(nn.functional.gelu(layer.fc1(inner)))
            new_keys.append(key)
            new_values.append(value)
        logits = nn.functional.linear(decoder.layer_norm(hidden), words)
        return logits[:, : self.end + 1].argmax(-1), torch.stack(new_keys), torch.stack(new_values)


def at(table: Tensor, position: Tensor) -> Tensor:
    """The row of a table at a position that is a tensor: an index would have to be known."""
    return table.index_select(0, position.reshape(1)).squeeze(0)


def attend(query: Tensor, keys: Tensor, values: Tensor, heads: int, seen: Tensor | None) -> Tensor:
    """One query a row [B, D] over keys and values [B, T, D], of which those `seen` [T] count."""
    shape = (heads, query.shape[-1] // heads)
    one = query.reshape(*query.shape[:-1], *shape)
    several, content = (t.reshape(*t.shape[:-1], *shape) for t in (keys, values))
    scores = torch.einsum("bhd,bthd->bht", one, several) / one.shape[-1] ** 0.5
    if seen is not None:
        scores = scores.masked_fill(~seen, torch.finfo(scores.dtype).min)
    return torch.einsum("bht,bthd->bhd", scores.softmax(-1), content).flatten(1)


class Vocabulary:
    """How tokens are spelt, how a transcript starts, and which token ends it."""

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_file(str(path))
        self.end = self._number("<|endoftext|>")
        names = ("<|startoftranscript|>", "<|notimestamps|>")
        self.prompt = [self._number(name) for name in names]

    def _number(self, name: str) -> int:
        found = self.tokenizer.token_to_id(name)
        if found is None:
            raise ValueError(f"the tokenizer has no token {name}")
        return int(found)

    def spelling(self) -> list[list[int]]:
        """The numbers of each token's characters, from 1, filled up with 0; of the end none."""
        known = {character: number for number, character in enumerate(CHARACTERS, 1)}
        rows = [[0] * LETTERS for _ in range(max(self.prompt) + 1)]
        for token in range(self.end):
            text = self.tokenizer.decode([token], skip_special_tokens=False)
            symbols = [known[c] for c in text if c in known][:LETTERS]
            rows[token][: len(symbols)] = symbols
        return rows
