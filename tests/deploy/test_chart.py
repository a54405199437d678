"""The chart renders what Kubernetes, the operator and Ray take, and every check of that bites."""

import re

import pytest

from tests.deploy.chart import CASES, CHART, DEPLOY, RENDERED, helm, objects_of, text_of, values_of
from tests.deploy.rules import RULES, Rule


@pytest.mark.parametrize("case", CASES)
def test_values_pass_schema_and_lint(case: str) -> None:
    report = helm.lint(CHART, values_of(case), strict=True)
    assert report["errors"] == []
    with helm.Chart.load(CHART) as chart:
        chart.validate_schema(values_of(case))


@pytest.mark.parametrize("case", CASES)
def test_what_is_rendered_is_kept(case: str) -> None:
    """`python -m tests.deploy.render` writes it anew."""
    assert text_of(values_of(case)) == (RENDERED / f"{case}.yaml").read_text()


def test_nothing_else_is_kept() -> None:
    assert sorted(path.stem for path in RENDERED.iterdir()) == CASES


def test_the_dashboard_of_the_chart_is_the_one() -> None:
    """Helm reads no files outside the chart."""
    ours, its = DEPLOY / "grafana/regraft.json", CHART / "dashboards/regraft.json"
    assert ours.read_text() == its.read_text()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("case", CASES)
def test_what_is_rendered_keeps_the_rules(case: str, rule: Rule) -> None:
    assert list(rule(objects_of(text_of(values_of(case))))) == []


def test_a_long_name_is_cut() -> None:
    objects = objects_of(text_of({}, name="a" * 53))
    assert [complaint for rule in RULES for complaint in rule(objects)] == []


def test_values_without_any_secret_of_ours_render() -> None:
    """The defaults are a release."""
    assert [complaint for rule in RULES for complaint in rule(objects_of(text_of({})))] == []


def test_an_image_that_only_answers_needs_others_that_adapt() -> None:
    with pytest.raises(Exception, match=r"train\.enabled or gpu\.enabled"):
        text_of({"serve": {"image": {"repository": "regraft-serve"}}})


@pytest.mark.parametrize("image", ["cpu", "gpu", "serve"])
def test_images_have_what_pods_call(image: str) -> None:
    """Probes call bash and wget; programs of regraft are where the environment says."""
    text = (DEPLOY / f"docker/Dockerfile.{image}").read_text()
    assert {"bash", "wget", "/opt/regraft"} <= set(text.split())
    assert "USER 1000" in text
    copied = re.findall(r"^COPY (?!--)(.*) \S+$", text, re.MULTILINE)
    ignored = (DEPLOY.parent / ".dockerignore").read_text().splitlines()
    assert copied
    assert {f"!{name}" for names in copied for name in names.split()} <= set(ignored)
