"""Every strategy that trains does so on a GPU, where there is one."""

from pathlib import Path

import pytest
import torch

from regraft.plugins import Plugins
from regraft.testing.strategy import prepared, train
from regraft.testing.toy import toy_model
from regraft.training.checkpoints import Checkpoints

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
TRAINED = [
    name
    for name, _, kind in Plugins.load().strategies.items_once()
    if not kind.freezes_backbone and not kind.uses_own_head
]


@pytest.mark.parametrize("name", TRAINED)
def test_training_goes_on_after_a_break_as_if_there_were_none(
    name: str, plugins: Plugins, tmp_path: Path
) -> None:
    strategy = plugins.strategy(name)
    whole, outcome, _ = train(strategy, tmp_path / "whole", device="cuda")
    assert outcome.state == "finished"
    assert {tensor.device.type for tensor in whole.state_dict().values()} == {"cuda"}
    train(strategy, tmp_path / "parts", stop_after=2, device="cuda")
    resumed, _, _ = train(strategy, tmp_path / "parts", device="cuda")
    for key, value in whole.state_dict().items():
        assert torch.allclose(value, resumed.state_dict()[key], atol=1e-4), key


@pytest.mark.parametrize("name", TRAINED)
def test_what_a_gpu_learnt_is_the_same_on_the_cpu(
    name: str, plugins: Plugins, tmp_path: Path
) -> None:
    strategy = plugins.strategy(name)
    train(strategy, tmp_path, device="cuda")
    made, model = prepared(strategy)
    Checkpoints(tmp_path, "read").load_best(model)
    finished = made.finish(model).eval()
    example = toy_model(0).example
    expected = finished(**example)[1]
    found = finished.to("cuda")(**{key: value.to("cuda") for key, value in example.items()})[1]
    assert torch.allclose(expected, found.cpu(), atol=1e-4)
