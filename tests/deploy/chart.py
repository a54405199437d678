"""The Helm chart, and what it makes of values."""

from pathlib import Path
from typing import Any

import pytest
import yaml

helm = pytest.importorskip("helm_python", reason="helm-python-sdk is not installed")

DEPLOY = Path(__file__).parents[2] / "deploy"
CHART = DEPLOY / "helm/regraft"
RENDERED = DEPLOY / "rendered"
CASES = sorted(path.stem for path in (CHART / "ci").glob("*.yaml"))
NAME = NAMESPACE = "regraft"

Object = dict[str, Any]


def values_of(case: str) -> Object:
    return yaml.safe_load((CHART / "ci" / f"{case}.yaml").read_text())


def text_of(values: Object, name: str = NAME) -> str:
    """All objects as one file of YAML; an error of `helm_python` for values that it refuses."""
    with helm.Chart.load(CHART) as chart:
        files = chart.render(values, name=name, namespace=NAMESPACE)
    objects = {path: text.strip() for path, text in files.items() if path.endswith(".yaml")}
    return "".join(
        f"---\n# Source: {path}\n{objects[path]}\n" for path in sorted(objects) if objects[path]
    )


def objects_of(text: str) -> list[Object]:
    return list(yaml.safe_load_all(text))
