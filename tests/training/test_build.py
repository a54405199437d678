"""From a recipe to the model that is trained."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from regraft import SourceModel, hookimpl
from regraft.errors import UnsupportedError
from regraft.plugins import Plugins
from regraft.training.build import Recipe, freeze_unreached
from regraft.training.checkpoints import save_weights


@pytest.fixture
def recipe(tiny_bert: Path) -> Recipe:
    return Recipe(
        source=str(tiny_bert),
        task="text-classification",
        strategy="full",
        feature="last-2",
        inputs=Plugins.load().open_source(str(tiny_bert)).inputs,
        labels=("a", "b", "c"),
        options={"epochs": 2},
        seed=3,
    )


def test_recipe_gives_the_same_model_in_every_process(recipe: Recipe, plugins: Plugins) -> None:
    def weight(recipe: Recipe) -> torch.Tensor:
        found: torch.Tensor = recipe.open(plugins).model().head.state_dict()["weight"]
        return found

    assert weight(recipe).shape == (3, 32)
    assert torch.equal(weight(recipe), weight(recipe))
    assert not torch.equal(weight(recipe), weight(replace(recipe, seed=4)))


def test_recipe_keeps_its_options_and_feature(recipe: Recipe, plugins: Plugins) -> None:
    opened = replace(recipe, feature="layer-1").open(plugins)
    assert opened.strategy.plan().epochs == 2
    assert opened.feature.name == "layer-1"


def test_head_that_is_fitted_in_the_end_does_not_learn_before(
    recipe: Recipe, plugins: Plugins
) -> None:
    def learning(strategy: str) -> set[bool]:
        model = replace(recipe, strategy=strategy, options={}).open(plugins).model()
        return {parameter.requires_grad for parameter in model.head.parameters()}

    assert (learning("contrastive"), learning("full")) == ({False}, {True})


def test_source_without_a_module_cannot_be_trained(recipe: Recipe, tiny_bert: Path) -> None:
    class GraphOnly:
        @hookimpl
        def open_source_model(self, reference: str) -> SourceModel | None:
            if reference != "graph-only":
                return None
            source = Plugins.load().open_source(str(tiny_bert))
            vars(source)["module"] = lambda feature: None
            return source

    plugins = Plugins.load()
    plugins.add(GraphOnly(), "graph-only")
    with pytest.raises(UnsupportedError, match=r"graph without a torch module.*linear-probe"):
        replace(recipe, source="graph-only").open(plugins).model()


def test_a_recipe_after_another_begins_with_its_weights(
    recipe: Recipe, plugins: Plugins, tmp_path: Path
) -> None:
    first = replace(recipe, seed=9)
    save_weights(tmp_path / "first.safetensors", first.open(plugins).model())
    student = replace(recipe, strategy="distillation", options={}, before=first)
    opened = replace(student, weights=str(tmp_path / "first.safetensors")).open(plugins)
    model: Any = opened.model()
    assert torch.equal(model.head.weight, first.open(plugins).model().head.weight)
    assert sum(p.numel() for p in model.backbone.encoder.encoder.layer[1].parameters()) == 0
    batch = model.example
    assert torch.equal(
        opened.strategy.teacher(**batch)[1], first.open(plugins).model().eval()(**batch)[1]
    )


def test_what_the_feature_does_not_depend_on_is_left_alone() -> None:
    class Partly(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = torch.nn.Linear(64, 2), torch.nn.Linear(2, 2)

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.used(values)
            return found

    module = Partly().train()
    freeze_unreached(module, {"values": torch.ones(2, 64)})
    assert [name for name, p in module.named_parameters() if p.requires_grad] == [
        "used.weight",
        "used.bias",
    ]
    assert module.training
    assert all(parameter.grad is None for parameter in module.parameters())


def test_what_the_strategy_before_left_alone_may_learn_after_it(
    recipe: Recipe, plugins: Plugins, tmp_path: Path
) -> None:
    first, alone = replace(recipe, strategy="bitfit", options={}), recipe.open(plugins).model()
    before = first.open(plugins)
    save_weights(tmp_path / "first.safetensors", before.strategy.finish(before.model()))
    after = replace(recipe, before=first, weights=str(tmp_path / "first.safetensors"))
    learning, expected = (
        {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        for model in (after.open(plugins).model(), alone)
    )
    assert learning == expected


def test_what_the_source_model_holds_fixed_stays_so_for_who_comes_after_another(
    recipe: Recipe, plugins: Plugins, tmp_path: Path
) -> None:
    """As the places of an encoder of sound, which are sines."""
    first = replace(recipe, source="whisper-tiny-en", task="audio-classification")
    source = plugins.open_source("whisper-tiny-en")
    feature = source.features[0]
    first = replace(first, feature=feature.name, inputs=source.inputs, strategy="full", options={})
    model = first.open(plugins).model()
    save_weights(tmp_path / "first.safetensors", model)
    weights = str(tmp_path / "first.safetensors")
    student = replace(first, strategy="distillation", before=first, weights=weights)
    fixed, still = (
        {name for name, parameter in one.backbone.named_parameters() if not parameter.requires_grad}
        for one in (model, student.open(plugins).model())
    )
    assert fixed
    assert fixed <= still
