"""A request is checked whole before anything is started."""

from collections.abc import Callable
from typing import Any

import pytest

from regraft import Feature, Inputs, SourceModel, TensorSpec, TransferStrategy, hookimpl
from regraft.adaptations.request import Request, check_request, parse_spec
from regraft.errors import InvalidInputError, UnknownNameError, UnsupportedError
from regraft.plugins import Plugins
from regraft_transfer.full import Full

VALUES = {"name": "model", "data": "data.csv", "source": "minilm-l6"}


class Picture(SourceModel):
    """A source model of images."""

    name, modality = "picture", "image"
    inputs = Inputs((TensorSpec("pixels", "UINT8", ("batch", 8, 8, 3)),))
    features = (Feature("last", "pooled", 4), Feature("map", "map", 4))

    def fingerprint(self) -> str:
        return "0" * 64

    @classmethod
    @hookimpl
    def open_source_model(cls, reference: str) -> SourceModel | None:
        return cls() if reference == "picture" else None


@pytest.fixture
def check(plugins: Plugins) -> Callable[..., Request]:
    return lambda **values: check_request(parse_spec({**VALUES, **values}), plugins)


def test_request_has_its_names_looked_up_and_its_options_read(check: Any) -> None:
    request = check(options={"feature": "layer-3", "strengths": [1.0]})
    assert request.task.name == "text-classification"
    assert request.strategy.options.strengths == (1.0,)
    assert [feature.name for feature in request.candidates] == ["layer-3"]


def test_request_that_lacks_something_is_not_repeated() -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_spec({**VALUES, "data": None})
    assert str(caught.value) == "request: data is missing: name a file of labelled rows."


def test_strategy_across_domains_wants_rows_without_labels(check: Any) -> None:
    with pytest.raises(InvalidInputError, match="name a file of them with --unlabelled"):
        check(strategy="coral")
    assert check(strategy="coral", unlabelled="rows.csv").strategy.name == "coral"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"name": "Not A Name"}, "^name: .*not 'Not A Name'"),
        ({"name": "stats"}, "name: 'stats' is reserved"),
        ({"split": (0.5, 0.4, 0.4)}, r"must sum to 1, not 1\.3"),
        ({"split": (1, 0.0, 0.0)}, r"split\.0: .*less than 1.*split\.1: .*greater than 0"),
        ({"seed": -1}, "seed: .*not '-1'"),
        ({"data": None}, "data is missing: name a file of labelled rows"),
        ({"data": None, "source_data": "x.csv"}, "without data of the target test is needed"),
        ({"sauce": "x"}, "sauce: there is no such option"),
        ({"source": None}, "source: .*valid string"),
    ],
)
def test_wrong_field_is_named_with_what_was_given(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        parse_spec({**VALUES, **values})


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"strength": 3}, r"'linear-probe': strength: there is no such option\. Its options: feat"),
        ({"strengths": "many"}, r"strengths: input should be a list, not 'many'.*Its options"),
        ({"strengths": [0]}, r"strengths\.0: .*greater than 0, not '0'"),
        ({"strengths": [0]}, r"strengths\.0: .*greater than 0"),
    ],
)
def test_wrong_option_is_named_beside_the_right_ones(
    check: Any, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        check(options=options)


@pytest.mark.parametrize("kind", ["task", "strategy", "source"])
def test_unknown_name_lists_the_known_ones(check: Any, kind: str) -> None:
    with pytest.raises(UnknownNameError, match=r"Unknown .*'nothing'.*Known: "):
        check(**{kind: "nothing"})


def test_unknown_feature_lists_those_that_fit(check: Any) -> None:
    with pytest.raises(UnsupportedError, match=r"lacks a feature 'layer-7'.*It offers: last-4, la"):
        check(options={"feature": "layer-7"})


def test_source_of_another_modality_is_refused_with_both() -> None:
    plugins = Plugins.load()
    plugins.add(Picture(), "picture")
    with pytest.raises(InvalidInputError, match=r"takes text, but .*'picture' takes image"):
        check_request(parse_spec({**VALUES, "source": "picture"}), plugins)


def test_parameter_strategy_on_a_graph_is_refused_with_the_reason() -> None:
    plugins = Plugins.load()
    plugins.add(GraphOnly(), "graph-only")
    values = {**VALUES, "source": "graph-only"}
    assert check_request(parse_spec(values), plugins).candidates[0].name == "last-4"
    with pytest.raises(UnsupportedError, match=r"graph without a torch module.*linear-probe"):
        check_request(parse_spec({**values, "strategy": "full"}), plugins)


class GraphOnly:
    """Opens minilm-l6 as if there were no module behind it."""

    @hookimpl
    def open_source_model(self, reference: str) -> SourceModel | None:
        if reference != "graph-only":
            return None
        source = Plugins.load().open_source("minilm-l6")
        source.trainable = False
        return source


class Renames:
    """Stands for another reference."""

    @hookimpl
    def open_source_model(self, reference: str) -> str | None:
        return "minilm-l6" if reference == "other-name" else None


@pytest.mark.parametrize("strategy", ["linear-probe", "lp-ft", "distillation", "contrastive"])
def test_strategy_that_fits_vectors_is_refused_for_maps(check: Any, strategy: str) -> None:
    asked = {"task": "image-segmentation", "source": "efficientnet-lite0", "strategy": strategy}
    reason = rf"'{strategy}' fits one vector a row.*'map'.*such as full"
    with pytest.raises(UnsupportedError, match=reason):
        check(**asked)


def test_strategy_that_begins_with_itself_is_refused() -> None:
    class Snake(Full):
        name, after = "snake", "snake"

    class Offers:
        @hookimpl
        def register_strategies(self) -> list[type[TransferStrategy]]:
            return [Snake]

    plugins = Plugins.load()
    plugins.add(Offers(), "offers")
    with pytest.raises(UnsupportedError, match="'snake' begins, in the end, with itself"):
        check_request(parse_spec({**VALUES, "strategy": "snake"}), plugins)


def test_source_that_is_yet_to_be_ranked_is_any_that_can_be_had(check: Any) -> None:
    request = check(source="auto", task="audio-classification", strategy="lora")
    assert request.source.modality == "audio", "the first of the catalogue is not installed"


@pytest.mark.parametrize("strategy", ["auto", "full"])
def test_sources_of_maps_are_not_ranked(check: Any, strategy: str) -> None:
    with pytest.raises(InvalidInputError, match=r"'map': name one with --source"):
        check(source="auto", task="image-segmentation", strategy=strategy)


def test_source_that_came_without_a_head_has_none_to_use(check: Any) -> None:
    with pytest.raises(UnsupportedError, match="came without a head for 'text-classification'"):
        check(strategy="as-is")


def test_reference_can_stand_for_another() -> None:
    plugins = Plugins.load()
    plugins.add(Renames(), "renames")
    assert plugins.open_source("other-name").name == "minilm-l6"
