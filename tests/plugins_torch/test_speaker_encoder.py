"""The speaker encoder says what its authors' code says."""

from typing import Any

import numpy as np
import torch

from regraft.plugins import Plugins
from regraft_torch.mel import slaney_filters
from regraft_torch.speaker_layers import SpeakerLayers


def test_filters_are_slaneys() -> None:
    from transformers.audio_utils import mel_filter_bank

    theirs = mel_filter_bank(201, 40, 0.0, 8000.0, 16_000, "slaney", "slaney")
    np.testing.assert_allclose(slaney_filters(16_000, 400, 40), theirs, atol=1e-9)


def test_embedding_is_that_of_one_lstm_of_three_layers(plugins: Plugins) -> None:
    """The published network: LSTM, linear, ReLU, length one, on a mel power spectrum."""
    source = plugins.open_source("resemblyzer")
    module: Any = source.module(source.feature("pooled", "embedding"))
    assert isinstance(module, SpeakerLayers)
    samples = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (1, 16_000))).float()
    assert samples.square().mean().sqrt() > 10 ** (-30 / 20), "loud enough to be taken as it is"
    whole = torch.nn.LSTM(40, 256, 3, batch_first=True)
    state = {
        f"{name}_l{number}": getattr(layer, f"{name}_l0")
        for number, layer in enumerate(module.layers)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    }
    whole.load_state_dict(state)
    with torch.no_grad():
        _, (hidden, _) = whole(module.spectrum(samples) @ module.filters)
        raw = module.linear(hidden[-1]).relu()
        expected = raw / raw.norm()
        found = module.eval()(samples, torch.tensor([16_000]))
    assert torch.allclose(found, expected, atol=1e-5)
    assert abs(float(found.norm()) - 1) < 1e-5


def test_a_quiet_recording_is_raised_as_its_authors_do(plugins: Plugins) -> None:
    """Resemblyzer's normalize_volume: to -30 dB of full scale, and only upwards."""
    source = plugins.open_source("resemblyzer")
    module: Any = source.module(source.feature("pooled", "embedding"))
    samples = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (1, 16_000))).float()
    level = samples.square().mean().sqrt()
    target = samples / level * 10 ** (-30 / 20)
    padded = torch.nn.functional.pad(target * 0.01, (0, 8_000))
    with torch.no_grad():
        expected = module.eval()(target, torch.tensor([16_000]))
        assert torch.allclose(module(padded, torch.tensor([16_000])), expected, atol=1e-4)
        silent = module(torch.zeros(1, 16_000), torch.tensor([16_000]))
    assert torch.isfinite(silent).all()
