"""An adaptation from a labelled file to a published version, in one process."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from regraft import Adaptation, Event, Feature, SourceModel, hookimpl
from regraft.adaptations.context import Context
from regraft.adaptations.queries import listing, show_version
from regraft.adaptations.run import run
from regraft.domain import State
from regraft.errors import (
    CancelledRunError,
    ConflictError,
    DataError,
    InvalidInputError,
    RunFailedError,
)
from regraft.plugins import Plugins
from regraft.registry.endpoint_table import EndpointTable, Route, revisions
from regraft.registry.manifest import Manifest
from regraft.registry.store import Registry
from regraft.serving.predictor import Opener
from regraft.serving.sessions import Runtime
from regraft.settings import Settings
from regraft_transformers.text import TextEncoder


class Watching:
    """A plugin that notes what observers are told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @hookimpl
    def adaptation_started(self, adaptation: Adaptation) -> None:
        self.told.append("started")

    @hookimpl
    def adaptation_finished(self, adaptation: Adaptation) -> None:
        self.told.append(str(adaptation.state))


class TwoFaced(TextEncoder):
    """Its graph is that of the trained model, its module the untrained one."""

    trained: bytes

    def graph(self, feature: Feature) -> bytes | None:
        return self.trained

    @classmethod
    @hookimpl
    def open_source_model(cls, reference: str) -> SourceModel | None:
        folder = reference.removeprefix("two-faced:")
        return None if folder == reference else cls(reference, Path(folder), True)


@pytest.fixture
def watched() -> tuple[Plugins, Watching]:
    plugins, watching = Plugins.load(), Watching()
    plugins.add(watching, "watching")
    return plugins, watching


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """Texts whose label is in a word that tiny-bert does not know."""
    words = ("да", "нет")
    rows = [f"the film was good {words[n % 2]} {'really ' * (n % 7)},{n % 2}" for n in range(300)]
    path = tmp_path / "noise.csv"
    path.write_text("\n".join(["text,label", *rows]))
    return path


def kinds(context: Context) -> list[str]:
    return [event.kind for event in context.registry.runs.events(context.adaptation.id)]


def stages(context: Context) -> list[str]:
    events = context.registry.runs.events(context.adaptation.id)
    return [event.data["name"] for event in events if event.kind == "stage"]


def stored(context: Context) -> Adaptation:
    return context.registry.runs.get(context.adaptation.id)


def test_version_is_published_with_its_figures_and_answers(submit: Any) -> None:
    context = submit()
    result = run(context).result
    assert result is not None
    assert stored(context).state == State.SUCCEEDED
    assert (result["name"], result["version"]) == ("reviews", 1)
    assert result["metrics"]["primary"] == result["metrics"]["accuracy"] > 0.9
    assert result["baselines"]["majority"] == pytest.approx(0.5, abs=0.15)
    assert sum(result["rows"].values()) == 60
    assert result["endpoint"] == "/v2/models/reviews"
    assert result["parity"]["max_abs_diff"] < 1e-4


def test_version_is_complete_in_its_manifest(submit: Any, registry: Registry) -> None:
    context = submit(seed=5)
    run(context)
    table = EndpointTable.read(registry.home.tables, revisions(registry.home.tables)[-1])
    manifest = Manifest.load(table.routes[0].manifest, registry.blobs)
    for blob in (manifest.backbone, manifest.head, manifest.report):
        assert registry.blobs.verified(blob.sha256).stat().st_size == blob.size
    assert manifest.labels == ("negative", "positive")
    assert manifest.task.entry_point == "text"
    assert manifest.lineage["adaptation"] == context.adaptation.id
    assert manifest.lineage["strategy"]["name"] == "linear-probe"
    assert manifest.lineage["seed"] == 5
    assert manifest.lineage["learnt_from"] == {"backbone": [], "head": ["train", "validation"]}


def test_report_tells_classes_gain_lineage_and_seconds(submit: Any, registry: Registry) -> None:
    run(submit())
    report = json.loads(json.dumps(show_version(registry, "reviews", None)))["report"]
    assert {row["label"] for row in report["metrics"]["per_class"]} == {"negative", "positive"}
    assert report["gain"]["low"] <= report["gain"]["value"] <= report["gain"]["high"]
    assert {"data", "features", "train", "export", "parity", "baselines"} <= set(report["seconds"])
    assert len(report["lineage"]["source"]["sha256"]) == 64


def test_stages_are_told_in_order_and_the_end_last(submit: Any) -> None:
    heard: list[Event] = []
    context = submit({"listen": heard.append})
    run(context)
    assert stages(context) == [
        *("data", "source_export", "features", "train", "precision", "features", "calibration"),
        *("features", "train", "export", "parity", "profile", "baselines", "evaluation"),
        *("findings", "publish"),
    ]
    assert kinds(context)[-1] == "succeeded"
    assert [event.number for event in heard] == list(range(1, len(heard) + 1))


def test_baselines_that_could_not_be_had_say_why(submit: Any, registry: Registry) -> None:
    result = run(submit()).result
    assert result is not None
    assert result["baselines"]["scratch"] is None
    assert result["gain_scratch"] is None
    report = show_version(registry, "reviews", None)["report"]
    assert report["missing"]["scratch"] == "the setting scratch_seconds is 0"
    assert set(report["missing"]) == {"scratch", "forgetting", "learning_curve", "speed"}


@pytest.mark.usefixtures("without_ray")
def test_speed_is_told_of_a_backbone_of_another_structure(submit: Any) -> None:
    options = {"epochs": 1, "least_steps": 0}
    context = submit(strategy="layer-drop", options=options, force=True)
    assert run(context).result is not None
    speed = show_version(context.registry, "reviews", None)["report"]["speed"]
    assert speed["size_ratio"] < 1
    assert speed["rows_per_second"] > 0
    assert speed["validation"] is None


@pytest.mark.usefixtures("without_ray")
def test_a_student_is_told_beside_its_teacher(submit: Any, registry: Registry) -> None:
    context = submit(strategy="distillation", options={"epochs": 1, "least_steps": 0}, force=True)
    assert run(context).result is not None
    version = show_version(registry, "reviews", None)
    assert set(version["report"]["speed"]["validation"]) == {"now", "before"}


def test_the_same_architecture_is_trained_from_scratch_within_the_time_of_the_adaptation(
    submit: Any,
) -> None:
    context = submit()
    enabled = Settings(home=context.settings.home, threads=1, scratch_seconds=60)
    context = replace(context, settings=enabled, seconds={"an earlier stage": 60.0})
    result = run(context).result
    assert result is not None
    assert 0 < result["baselines"]["scratch"] <= 1
    assert result["gain_scratch"]["against"] == "scratch"
    assert result["seconds"]["scratch"] > 0


def test_scratch_that_would_take_longer_is_not_begun(submit: Any, registry: Registry) -> None:
    context = submit()
    brief = Settings(home=context.settings.home, threads=1, scratch_seconds=1e-6)
    run(replace(context, settings=brief))
    missing = show_version(registry, "reviews", None)["report"]["missing"]
    assert missing["scratch"].startswith("it would take")


def test_source_of_random_weights_is_never_a_positive_transfer(
    submit: Any, tiny_bert: Path, registry: Registry
) -> None:
    result = run(submit(source=f"{tiny_bert}?init=random")).result
    assert result is not None
    assert result["verdict"] != "positive"
    report = show_version(registry, "reviews", None)["report"]
    assert any("no pretrained weights" in note for note in report["notes"])
    assert report["missing"]["scratch"] == "the setting scratch_seconds is 0"


def test_version_that_is_worse_is_published_but_does_not_answer(
    submit: Any, registry: Registry, noise: Path
) -> None:
    given = {"data": str(noise)}
    result = run(submit(**given)).result
    assert result is not None
    assert (result["verdict"], result["endpoint"], result["held_back"]) == ("negative", None, True)
    assert registry.models.endpoints() == []
    with pytest.raises(ConflictError, match="its verdict is negative"):
        registry.models.promote("reviews", 1)
    forced = run(submit(**given, force=True)).result
    assert forced is not None
    assert forced["endpoint"] == "/v2/models/reviews"


def test_confidence_is_corrected_on_the_validation_part(submit: Any, registry: Registry) -> None:
    run(submit())
    calibration = show_version(registry, "reviews", None)["report"]["calibration"]
    assert calibration["temperature"] != 1
    assert sum(row["rows"] for row in calibration["reliability"]) == 8


def test_rare_class_is_found_more_often_with_class_weights(
    submit: Any, registry: Registry, tmp_path: Path
) -> None:
    """Of what is hard to tell apart the rare class is guessed more often."""
    words = ["good lovely", "great fine", "good fine", "great lovely"]
    rows = []
    for n in range(400):
        label = "plain" if n % 10 else "rare"
        rows.append(f"{words[n * n % 4]} {'really ' * (n % 9)} {n * 7919 % 1009},{label}")
    data = tmp_path / "rare.csv"
    data.write_text("\n".join(["text,label", *rows]))
    recalls = []
    for name, weights in (("plain", False), ("weighted", True)):
        run(submit(name=name, data=str(data), class_weights=weights, force=True))
        report = show_version(registry, name, None)["report"]
        figures = (report["metrics"], report["baselines"]["simple"])
        recalls.append([_recall(metrics, "rare") for metrics in figures])
    assert recalls[0][0] < recalls[1][0]
    assert recalls[0][1] < recalls[1][1], "as does what it is compared with"


def _recall(metrics: dict[str, Any], label: str) -> float:
    found: float = {row["label"]: row["recall"] for row in metrics["per_class"]}[label]
    return found


def test_a_source_domain_without_a_class_has_nothing_to_forget(
    submit: Any, registry: Registry, reviews: Path, tmp_path: Path
) -> None:
    lines = reviews.read_text().splitlines()
    known = [line.replace("film", "book") for line in lines if line.endswith("negative")]
    (tmp_path / "known.csv").write_text("\n".join([lines[0], *known]))
    assert run(submit(source_data=str(tmp_path / "known.csv"), force=True)).result is not None
    report = show_version(registry, "reviews", None)["report"]
    assert report["forgetting"] is None
    assert "no rows of positive" in report["missing"]["forgetting"]


def test_second_run_computes_no_feature_and_shares_the_blobs(
    submit: Any, registry: Registry
) -> None:
    first, second = submit(), submit()
    run(first)
    run(second)
    assert "features" in kinds(first)
    assert "features" not in kinds(second)
    one, two = (show_version(registry, "reviews", version) for version in (1, 2))
    assert one["blobs"] == two["blobs"]
    assert one["metrics"] == two["metrics"]


def test_two_models_of_one_source_share_its_backbone(
    submit: Any, registry: Registry, plugins: Plugins, reviews: Path, tmp_path: Path
) -> None:
    renamed = tmp_path / "renamed.csv"
    renamed.write_text(reviews.read_text().replace("positive", "good"))
    run(submit(name="one", precision="fp32"))
    run(submit(name="two", seed=1, data=str(renamed), precision="fp32"))
    one, two = (show_version(registry, name, None)["blobs"] for name in ("one", "two"))
    assert one["backbone"] == two["backbone"]
    assert one["head"] != two["head"]
    opener = Opener(registry.blobs, plugins, Runtime())
    first, second = (
        opener.open(Route(name, 1, registry.models.version(name).manifest.sha256))
        for name in ("one", "two")
    )
    assert first.backbone is second.backbone
    assert first.encoder is second.encoder, "a tokenizer takes ten megabytes"
    assert first.group == second.group, "their rows share batches"
    manifest = Manifest.load(registry.models.version("one").manifest.sha256, registry.blobs)
    task = manifest.task.model_copy(update={"name": "another"})
    other = manifest.model_copy(update={"task": task}).store(registry.blobs)
    kinds: Any = SimpleNamespace(task=lambda name: plugins.task("text-classification"))
    third = replace(opener, plugins=kinds).open(Route("three", 1, other.sha256))
    assert third.backbone is first.backbone
    assert third.group != first.group, "another task may encode the same rows otherwise"
    assert (first.task.labels, second.task.labels) == (
        ("negative", "positive"),
        ("good", "negative"),
    )


def test_version_that_is_not_to_be_promoted_has_no_endpoint(
    submit: Any, registry: Registry
) -> None:
    result = run(submit(promote=False)).result
    assert result is not None
    assert result["endpoint"] is None
    assert registry.models.endpoints() == []
    assert registry.models.version("reviews").version == 1


def test_run_that_fails_is_recorded_with_its_reason(submit: Any, watched: Any) -> None:
    plugins, watching = watched
    context = submit({"plugins": plugins}, data="/no/such/file.csv")
    with pytest.raises(InvalidInputError):
        run(context)
    found = stored(context)
    assert (found.state, found.result) == (State.FAILED, None)
    assert "/no/such/file.csv" in str(found.reason)
    assert watching.told == ["started", "failed"]
    assert kinds(context)[-1] == "failed"


def test_problems_of_the_data_are_told_one_by_one(submit: Any, tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text("text,label\na,x\nb,x\nc,x\nd,y\n")
    context = submit(data=str(tmp_path / "few.csv"))
    with pytest.raises(DataError):
        run(context)
    last = context.registry.runs.events(context.adaptation.id)[-1]
    assert last.data["status"] == 422
    assert [problem["code"] for problem in last.data["problems"]] == ["few-rows"]


def test_error_of_a_strategy_is_recorded_and_goes_on(
    submit: Any, registry: Registry, monkeypatch: pytest.MonkeyPatch, plugins: Plugins
) -> None:
    def fit(*_: Any) -> Any:
        raise ZeroDivisionError("in a plugin")

    monkeypatch.setattr(plugins.strategy("linear-probe"), "fit", fit)
    context = submit()
    with pytest.raises(RunFailedError, match="ZeroDivisionError: in a plugin"):
        run(context)
    assert str(stored(context).reason).startswith("An internal error. The log tells more under ")
    assert registry.models.versions() == []


def test_run_that_diverges_ends_within_three_steps_and_publishes_nothing(
    submit: Any, registry: Registry, without_ray: None
) -> None:
    context = submit(strategy="full", options={"learning_rate": 1e9, "warmup": 0})
    with pytest.raises(RunFailedError, match="smaller learning rate"):
        run(context)
    assert kinds(context).count("step") <= 3
    found = stored(context)
    assert found.state == State.FAILED
    assert str(found.reason).startswith("diverged: the gradient was not finite")
    assert registry.models.versions() == []


@pytest.mark.parametrize("how", ["somebody cancels", "control-c"])
def test_cancelled_run_stops_and_publishes_nothing(
    submit: Any, registry: Registry, watched: Any, how: str
) -> None:
    plugins, watching = watched

    def listen(event: Event) -> None:
        if event.kind == "features":
            if how == "control-c":
                raise KeyboardInterrupt
            registry.runs.request_cancel(context.adaptation.id)

    context = submit({"plugins": plugins, "listen": listen})
    with pytest.raises(CancelledRunError):
        run(context)
    assert stored(context).state == State.CANCELLED
    assert "train" not in stages(context)
    assert watching.told == ["started", "cancelled"]
    assert registry.models.versions() == []


def test_run_that_was_cancelled_before_does_not_begin(submit: Any, registry: Registry) -> None:
    context = submit()
    registry.runs.request_cancel(context.adaptation.id)
    assert run(context).state == State.CANCELLED
    assert stages(context) == []


def test_observers_hear_of_the_end_once(submit: Any, watched: Any) -> None:
    plugins, watching = watched
    context = submit({"plugins": plugins})
    run(context)
    run(context)
    assert watching.told == ["started", "succeeded"]


def test_graph_that_is_not_the_model_is_never_published(
    submit: Any, registry: Registry, tiny_bert: Path
) -> None:
    plugins = Plugins.load()
    exports = [json.loads(path.read_text()) for path in registry.home.cache.rglob("*.json")]
    small = min(exports, key=lambda blob: blob["size"])
    TwoFaced.trained = registry.blobs.read(small["sha256"])
    plugins.add(TwoFaced, "two-faced")
    context = submit({"plugins": plugins}, source=f"two-faced:{tiny_bert}")
    with pytest.raises(RunFailedError, match="it is not published"):
        run(context)
    assert registry.models.versions() == []
    assert "differs from the trained one" in str(stored(context).reason)


def test_real_tweets_on_minilm_are_told_apart(submit: Any, tweets: Path) -> None:
    result = run(submit(name="tweets", source="minilm-l6", data=str(tweets), limit_rows=400)).result
    assert result is not None
    assert result["metrics"]["accuracy"] > 0.75 > result["baselines"]["majority"]


def test_resources_are_listed_as_json(submit: Any, registry: Registry, plugins: Plugins) -> None:
    run(submit())
    for kind in ("models", "adaptations", "endpoints", "sources", "tasks", "strategies", "plugins"):
        rows = json.loads(json.dumps(listing(kind, registry, plugins)))
        assert rows, kind
