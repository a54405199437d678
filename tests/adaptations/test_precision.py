"""Less precision is served where it is faster and as good, and the report says why or why not."""

import json
from dataclasses import replace
from typing import Any

import pytest

from regraft.adaptations import precision
from regraft.adaptations.request import check_request
from regraft.adaptations.run import load_data, run
from regraft.adaptations.work import begin
from regraft.plugins import Plugins
from regraft.registry.manifest import Manifest
from regraft.registry.store import Registry
from regraft.serving.predictor import served_backbone


@pytest.fixture
def published(submit: Any, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The manifest and the record of a version, int8 being so many times as fast."""

    def make(ratio: float = 2.0, **spec: Any) -> tuple[Manifest, dict[str, Any]]:
        monkeypatch.setattr(precision, "paired_rates", lambda pair, batch: [1.0, ratio])
        run(submit(**spec))
        version = registry.models.version("reviews")
        manifest = Manifest.load(version.manifest.sha256, registry.blobs)
        report = registry.blobs.read(manifest.report.sha256)
        return manifest, {**json.loads(report)["precision"], "summary": version.summary}

    return make


def test_faster_and_as_good_is_served(published: Any, registry: Registry) -> None:
    manifest, record = published()
    assert (record["taken"], record["ratio"], record["reason"]) == (True, 2.0, None)
    compared, rows = record["compared"], record["summary"]["rows"]
    assert compared["fp32"] - compared["int8"] <= 0.005
    assert compared["rows"] == rows["train"] + rows["validation"]
    assert record["summary"]["precision"] == "int8"
    assert manifest.variant is not None
    assert manifest.variant.backbone.sha256 in registry.blobs
    assert served_backbone(manifest, gpu=False) == manifest.variant.backbone
    assert served_backbone(manifest, gpu=True) == manifest.backbone


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"ratio": 1.05}, "1.05 times as fast on this machine, less than 1.1"),
        ({"precision": "fp32"}, "fp32 was asked for"),
    ],
)
def test_what_is_not_served_says_why(published: Any, asked: dict[str, Any], reason: str) -> None:
    manifest, record = published(**asked)
    assert not record["taken"]
    assert reason in record["reason"]
    assert record["summary"]["precision"] == "fp32"
    assert manifest.variant is None


def test_what_costs_more_than_allowed_is_refused(
    published: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(work: Any, learnt: Any, part: Any) -> Any:
        outputs = real(work, learnt, part)
        plain = learnt.backbone == work.exported(learnt.feature)
        return outputs if plain else outputs[:, ::-1]

    real = precision.outputs_of
    monkeypatch.setattr(precision, "outputs_of", spoilt)
    manifest, record = published()
    assert manifest.variant is None
    assert "training and validation rows falls from" in record["reason"]
    assert "by more than 0.005" in record["reason"]
    assert record["left_out"] == 3, "the products that suffer most were left out, in vain"


def test_the_same_request_is_decided_alike(published: Any) -> None:
    assert published(ratio=2.0)[1]["taken"]
    assert published(ratio=0.5)[1]["ratio"] == 2.0, "it was measured already"


def test_a_processor_that_can_less_serves_the_backbone_as_it_is(
    published: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, record = published()
    assert record["instructions"]
    monkeypatch.setattr("regraft.serving.predictor.instructions", lambda: ("other",))
    assert served_backbone(manifest, gpu=False) == manifest.backbone


def test_many_rows_are_enough_and_borrowed_ones_are_none(
    submit: Any, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = submit()
    request = check_request(context.adaptation.spec, plugins)
    work = begin(request, load_data(context, request.spec), context)
    monkeypatch.setattr(precision, "MOST_ROWS", len(work.data.validation) + 5)
    validation, some = precision._known_rows(work)
    assert (len(validation), len(some)) == (len(work.data.validation), 5)
    monkeypatch.setattr(precision, "MOST_ROWS", 7)
    validation, some = precision._known_rows(work)
    assert (len(validation), len(some)) == (7, 0)
    monkeypatch.setattr(precision, "MOST_ROWS", len(work.data.validation) + 5)
    lent = replace(work, data=replace(work.data, borrowed=len(work.data.train) - 2))
    assert precision._known_rows(lent)[1].inputs == work.data.train.take(range(2)).inputs
