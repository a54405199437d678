"""Encoders of sound: Whisper in both of its forms, and encoders of raw sound."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from regraft.contract import SourceModel
from regraft.errors import InvalidInputError
from regraft.plugins import Plugins
from regraft.testing import check_source_model
from regraft_transformers.audio import AudioEncoder, WaveformFolder, WhisperFile, WhisperFolder
from regraft_transformers.ctranslate2 import read_variables
from regraft_transformers.log_mel import LogMel
from tests.conftest import SMALL_WAVEFORM


@pytest.fixture(scope="module")
def whisper(plugins: Plugins) -> WhisperFile:
    found = plugins.open_source("whisper-tiny-en")
    assert isinstance(found, WhisperFile)
    return found


def noise(seconds: float) -> Any:
    length = round(16_000 * seconds)
    return (np.random.default_rng(0).normal(size=length) * 0.1).astype(np.float32)


def test_spectrum_is_whispers_own() -> None:
    from transformers import WhisperFeatureExtractor

    sound = noise(30)
    expected = WhisperFeatureExtractor(80)(sound, sampling_rate=16_000, return_tensors="np")
    found = LogMel(80)(torch.from_numpy(sound)[None]).numpy()
    assert found.shape == expected.input_features.shape
    # The last two windows differ: silence follows here, the end mirrored there.
    np.testing.assert_allclose(found[..., :-2], expected.input_features[..., :-2], atol=1e-3)


def test_thirty_seconds_give_what_transformers_gives(whisper: WhisperFile) -> None:
    from transformers import WhisperFeatureExtractor

    from regraft_transformers.whisper import whisper_encoder

    sound = noise(30)
    theirs = WhisperFeatureExtractor(80)(sound, sampling_rate=16_000, return_tensors="pt")
    module = whisper.module(whisper.feature("sequence", "layer-4")).eval()
    with torch.no_grad():
        encoder = whisper_encoder(whisper.variables, whisper.shape).eval()
        expected = encoder(theirs.input_features).last_hidden_state
        found = module(torch.from_numpy(sound)[None], torch.tensor([len(sound)]))
    # Single steps swing by a tenth on noise; the last two windows differ.
    assert (found - expected).abs().mean() < 1e-3
    assert expected.abs().mean() > 0.1


def test_a_folder_of_transformers_is_the_same_model(
    whisper: WhisperFile, tmp_path: Path, plugins: Plugins
) -> None:
    from transformers import WhisperConfig, WhisperModel

    from regraft_transformers.whisper import transformers_state

    small = {"decoder_layers": 1, "decoder_ffn_dim": 8, "decoder_attention_heads": 2}
    model = WhisperModel(WhisperConfig(**whisper.shape, **small))
    state = {k: torch.from_numpy(v.astype(np.float32)) for k, v in _state(whisper).items()}
    model.encoder.load_state_dict(state)
    model.save_pretrained(tmp_path)
    folder = plugins.open_source(str(tmp_path))
    assert isinstance(folder, WhisperFolder)
    assert folder.features == whisper.features
    assert transformers_state(whisper.variables).keys() == state.keys()
    sound, lengths = torch.from_numpy(noise(0.5))[None], torch.tensor([8000])
    with torch.no_grad():
        one, two = (
            source.module(source.feature("pooled", "layer-2-mean-std")).eval()(sound, lengths)
            for source in (folder, whisper)
        )
    assert torch.equal(one, two)


def _state(whisper: WhisperFile) -> dict[str, Any]:
    from regraft_transformers.whisper import transformers_state

    return transformers_state(whisper.variables)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("wav2vec2", {"feat_extract_norm": "group"}),
        ("wav2vec2", {"feat_extract_norm": "layer", "do_stable_layer_norm": True}),
        ("hubert", {"feat_extract_norm": "layer"}),
    ],
)
def test_encoder_of_raw_sound_passes_the_kit(
    kind: str, changes: dict[str, Any], tmp_path: Path, plugins: Plugins
) -> None:
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(3)
    AutoModel.from_config(AutoConfig.for_model(kind, **SMALL_WAVEFORM, **changes)).save_pretrained(
        tmp_path
    )
    source = plugins.open_source(str(tmp_path))
    assert isinstance(source, WaveformFolder)
    check_source_model(source)


def test_raw_sound_gives_what_transformers_gives(tmp_path: Path, plugins: Plugins) -> None:
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(3)
    config = AutoConfig.for_model("wav2vec2", **SMALL_WAVEFORM, feat_extract_norm="layer")
    AutoModel.from_config(config).save_pretrained(tmp_path)
    source, sound = plugins.open_source(str(tmp_path)), torch.from_numpy(noise(0.6))[None]
    module = source.module(source.feature("sequence", "layer-2"))
    assert module is not None
    normal = (sound - sound.mean()) / (sound.var(correction=0) + 1e-7).sqrt()
    with torch.no_grad():
        expected = AutoModel.from_pretrained(tmp_path).eval()(normal).last_hidden_state
        found = module.eval()(sound, torch.tensor([sound.shape[1]]))
    assert (found - expected).abs().max() < 1e-5


def test_untrained_whisper_is_another_model(plugins: Plugins, whisper: WhisperFile) -> None:
    random = plugins.open_source("whisper-tiny-en?init=random")
    assert isinstance(random, AudioEncoder)
    assert random.fingerprint() != whisper.fingerprint()
    assert random.features == whisper.features


def test_middle_layer_is_the_default_and_all_are_candidates(whisper: SourceModel) -> None:
    assert whisper.features[0].name == "layer-2-mean"
    assert len(whisper.candidates("pooled")) == 10
    assert [f.name for f in whisper.candidates("sequence")] == ["layer-4"]


def test_layers_above_the_feature_are_not_there(whisper: WhisperFile) -> None:
    early = whisper.module(whisper.feature("pooled", "layer-1-mean"))
    late = whisper.module(whisper.feature("pooled", "layer-4-mean"))
    counts = [sum(p.numel() for p in module.parameters()) for module in (early, late)]
    assert counts[0] < 0.5 * counts[1]


@pytest.mark.parametrize("kept", [0, 3, 20, 1000, 100_000])
def test_damaged_ctranslate2_file_is_refused(
    kept: int, tmp_path: Path, whisper: WhisperFile
) -> None:
    with whisper.path.open("rb") as file:
        (tmp_path / "model.bin").write_bytes(file.read(kept))
    with pytest.raises(InvalidInputError, match="CTranslate2"):
        read_variables(tmp_path / "model.bin")
