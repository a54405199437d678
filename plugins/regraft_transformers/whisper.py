"""Whisper from a CTranslate2 file, as Transformers' own modules."""

from pathlib import Path
from typing import Any

import numpy as np

from regraft import InvalidInputError
from regraft_transformers.ctranslate2 import read_variables

SPECIFICATION = "WhisperSpec"
LAYER = {
    "self_attn_layer_norm": "self_attention/layer_norm",
    "self_attn.out_proj": "self_attention/linear_1",
    "final_layer_norm": "ffn/layer_norm",
    "fc1": "ffn/linear_0",
    "fc2": "ffn/linear_1",
}
"""Transformers' names within a layer, and CTranslate2's."""


def read_part(path: Path, prefix: str) -> dict[str, Any]:
    """The arrays of the encoder or the decoder by their CTranslate2 names; InvalidInputError if it
    is no Whisper model or was quantised."""
    specification, variables = read_variables(path)
    if specification != SPECIFICATION:
        raise InvalidInputError(f"{path} holds a {specification}; {SPECIFICATION} can be used.")
    found = {name: value for name, value in variables.items() if name.startswith(prefix)}
    if any(value.dtype.kind == "i" and value.ndim > 1 for value in found.values()):
        raise InvalidInputError(f"{path} is quantised to integers; float16 or float32 can be used.")
    return {name.removeprefix(prefix): value for name, value in found.items()}


def layer_count(variables: dict[str, Any]) -> int:
    return sum(name.endswith("ffn/linear_0/weight") for name in variables)


def whisper_encoder(variables: dict[str, Any] | None, sizes: dict[str, int]) -> Any:
    """Transformers' WhisperEncoder with these weights; without, always the same random ones."""
    return _made("WhisperEncoder", sizes, variables and transformers_state(variables))


def whisper_decoder(variables: dict[str, Any], random: bool) -> Any:
    """Transformers' WhisperDecoder with these weights, or always the same `random` ones."""
    tokens, size = variables["embeddings/weight"].shape
    sizes = {
        "d_model": size,
        "vocab_size": tokens,
        "decoder_layers": layer_count(variables),
        "decoder_attention_heads": int(variables["num_heads"]),
        "decoder_ffn_dim": len(variables["layer_0/ffn/linear_0/bias"]),
        "max_target_positions": len(variables["position_encodings/encodings"]),
        "pad_token_id": 0,
    }
    return _made("WhisperDecoder", sizes, None if random else decoder_state(variables))


def _made(kind: str, sizes: dict[str, int], state: dict[str, Any] | None) -> Any:
    import torch
    from transformers import WhisperConfig
    from transformers.models.whisper import modeling_whisper

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = getattr(modeling_whisper, kind)(WhisperConfig(**sizes))
    if state is not None:
        tensors = {name: torch.from_numpy(v.astype(np.float32)) for name, v in state.items()}
        module.load_state_dict(tensors)
    return module


def decoder_state(variables: dict[str, Any]) -> dict[str, Any]:
    """The decoder's arrays under Transformers' names."""
    state = {
        "embed_tokens.weight": variables["embeddings/weight"],
        "embed_positions.weight": variables["position_encodings/encodings"],
    }
    state |= _weight_and_bias("layer_norm", "layer_norm", variables)
    names = {**LAYER, "encoder_attn_layer_norm": "attention/layer_norm"}
    names |= {"encoder_attn.q_proj": "attention/linear_0"}
    names |= {"encoder_attn.out_proj": "attention/linear_2"}
    for number in range(layer_count(variables)):
        ours, theirs = f"layers.{number}", f"layer_{number}"
        for name, other in names.items():
            state |= _weight_and_bias(f"{ours}.{name}", f"{theirs}/{other}", variables)
        state |= _attention(f"{ours}.self_attn", f"{theirs}/self_attention/linear_0", variables)
        state |= _across(f"{ours}.encoder_attn", f"{theirs}/attention/linear_1", variables)
    return state


def _across(ours: str, theirs: str, variables: dict[str, Any]) -> dict[str, Any]:
    """Key and value of what is attended to in the encoder; the key has no bias."""
    key, value = np.split(variables[f"{theirs}/weight"], 2)
    bias = np.split(variables[f"{theirs}/bias"], 2)[1]
    return {
        f"{ours}.k_proj.weight": key,
        f"{ours}.v_proj.weight": value,
        f"{ours}.v_proj.bias": bias,
    }


def sizes_of(variables: dict[str, Any]) -> dict[str, int]:
    """The shape of the encoder as a WhisperConfig names it."""
    size, bands, _ = variables["conv1/weight"].shape
    return {
        "d_model": size,
        "num_mel_bins": bands,
        "encoder_layers": layer_count(variables),
        "encoder_attention_heads": int(variables["num_heads"]),
        "encoder_ffn_dim": len(variables["layer_0/ffn/linear_0/bias"]),
        "max_source_positions": len(variables["position_encodings/encodings"]),
    }


def transformers_state(variables: dict[str, Any]) -> dict[str, Any]:
    """The same arrays under Transformers' names; query, key and value lie in one array."""
    state = {"embed_positions.weight": variables["position_encodings/encodings"]}
    for conv in ("conv1", "conv2"):
        for part in ("weight", "bias"):
            state[f"{conv}.{part}"] = variables[f"{conv}/{part}"]
    state |= _weight_and_bias("layer_norm", "layer_norm", variables)
    for number in range(layer_count(variables)):
        ours, theirs = f"layers.{number}", f"layer_{number}"
        for name, other in LAYER.items():
            state |= _weight_and_bias(f"{ours}.{name}", f"{theirs}/{other}", variables)
        state |= _attention(f"{ours}.self_attn", f"{theirs}/self_attention/linear_0", variables)
    return state


def _weight_and_bias(ours: str, theirs: str, variables: dict[str, Any]) -> dict[str, Any]:
    names = ("gamma", "beta") if theirs.endswith("layer_norm") else ("weight", "bias")
    parts = zip(("weight", "bias"), names, strict=True)
    return {f"{ours}.{part}": variables[f"{theirs}/{name}"] for part, name in parts}


def _attention(ours: str, theirs: str, variables: dict[str, Any]) -> dict[str, Any]:
    """Whisper's key has no bias; CTranslate2 keeps zeros there."""
    state: dict[str, Any] = {}
    for part in ("weight", "bias"):
        query, key, value = np.split(variables[f"{theirs}/{part}"], 3)
        state |= {f"{ours}.q_proj.{part}": query, f"{ours}.v_proj.{part}": value}
        if part == "weight":
            state[f"{ours}.k_proj.weight"] = key
    return state
