"""Whisper's own decoder as a head: it says what a plain greedy loop says, and serves as it is."""

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from regraft.adaptations.context import Context
from regraft.adaptations.run import run
from regraft.domain import AdaptationSpec
from regraft.errors import InvalidInputError, UnsupportedError
from regraft.plugins import Plugins
from regraft.registry.home import Home
from regraft.registry.store import Registry
from regraft.settings import Settings
from regraft_transformers.audio import WhisperFile
from regraft_transformers.characters import CHARACTERS
from regraft_transformers.whisper_decoder import LONGEST, Vocabulary, WhisperTranscriber

REFERENCE = "whisper-tiny-en?window=30"


@pytest.fixture(scope="module")
def whisper(plugins: Plugins) -> WhisperFile:
    found = plugins.open_source(REFERENCE)
    assert isinstance(found, WhisperFile)
    return found


def greedy(decoder: Any, states: torch.Tensor, vocabulary: Vocabulary) -> list[int]:
    """The likeliest tokens, by Transformers' own forward of the whole beginning each time."""
    tokens = list(vocabulary.prompt)
    while len(tokens) <= LONGEST:
        found = decoder(input_ids=torch.tensor([tokens]), encoder_hidden_states=states)
        logits = found.last_hidden_state[0, -1] @ decoder.embed_tokens.weight.T
        following = int(logits[: vocabulary.end + 1].argmax())
        if following == vocabulary.end:
            break
        tokens.append(following)
    return tokens[len(vocabulary.prompt) :]


def test_transcript_is_that_of_a_plain_greedy_loop(whisper: WhisperFile) -> None:

    torch.manual_seed(0)
    vocabulary = Vocabulary(whisper.folder / "tokenizer.json")
    decoder = whisper.decoder().eval()
    transcriber = WhisperTranscriber(decoder, vocabulary).eval()
    states = torch.randn(2, 40, 384)
    with torch.no_grad():
        tokens = transcriber._tokens(states)
        outputs = transcriber(states)
        for row in range(2):
            expected = greedy(decoder, states[row : row + 1], vocabulary)[:20]
            assert tokens[row, : len(expected)].tolist() == expected
    assert outputs.shape == (2, tokens.shape[1] * 24, 1 + len(CHARACTERS))


def test_tokens_are_spelt_in_ascii(whisper: WhisperFile) -> None:
    vocabulary = Vocabulary(whisper.folder / "tokenizer.json")
    rows = vocabulary.spelling()
    token = vocabulary.tokenizer.encode(" hello", add_special_tokens=False).ids[0]
    assert "".join(CHARACTERS[n - 1] for n in rows[token] if n) == " hello"
    assert not any(rows[vocabulary.end])


def test_window_is_what_the_decoder_needs_and_whisper_alone_has(
    plugins: Plugins, tiny_bert: Path
) -> None:
    source = plugins.open_source("whisper-tiny-en")
    with pytest.raises(UnsupportedError, match=r"take the source .*whisper-tiny-en\?window=30"):
        source.own_head("speech-recognition")
    assert source.own_head("audio-classification") is None
    with pytest.raises(InvalidInputError, match="option of Whisper alone"):
        plugins.open_source(f"{tiny_bert}?window=30")


@pytest.fixture
def tiny_whisper(whisper: WhisperFile, tmp_path: Path) -> Path:
    """A folder with an untrained Whisper of one layer that spells as the real one."""
    from transformers import WhisperConfig, WhisperModel

    sides = {
        f"{side}_{name}": count
        for side in ("encoder", "decoder")
        for name, count in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 32))
    }
    torch.manual_seed(7)
    WhisperModel(WhisperConfig(vocab_size=51_864, d_model=32, **sides)).save_pretrained(tmp_path)
    shutil.copy(whisper.folder / "tokenizer.json", tmp_path)
    return tmp_path


def test_it_is_judged_and_published_without_training(
    plugins: Plugins, sweeps: Path, tiny_whisper: Path, fresh_home: Home
) -> None:
    files = sorted(path for path in sweeps.rglob("*") if path.is_file())[:3]
    with (sweeps.parent / "few.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows(
            [["path", "text"], *([f"sweeps/{p.parent.name}/{p.name}", "beep"] for p in files)]
        )
    registry = Registry(fresh_home.root)
    spec = AdaptationSpec(
        name="transcriber",
        data=str(sweeps.parent / "few.csv"),
        task="speech-recognition",
        source=f"{tiny_whisper}?window=30",
        strategy="as-is",
        split=(0.34, 0.33, 0.33),
    )
    adaptation, _ = registry.runs.submit(spec)
    context = Context(adaptation, registry, plugins, Settings(home=fresh_home.root, threads=1))
    result = run(context).result
    assert result is not None
    assert result["parity"]["argmax_agreement"] == 1
    assert "train" not in result["seconds"]
    assert np.isfinite(result["metrics"]["wer"])
