"""The operator's own definitions know every field that is rendered.

`REGRAFT_TEST_CRDS` names a folder with KubeRay's CRDs (a megabyte each, and not here). Their
expressions (CEL) are not looked at.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.chart import CASES, objects_of, text_of, values_of
from tests.deploy.pods import Object, cluster, of_kind, service

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
FOLDER = os.environ.get("REGRAFT_TEST_CRDS")
pytestmark = pytest.mark.skipif(not FOLDER, reason="REGRAFT_TEST_CRDS names no folder of CRDs")
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def strict(schema: Any) -> Any:
    """An apiserver in `Strict` mode takes no field that it does not know."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(part) for key, part in schema.items()}
    if made.pop("x-kubernetes-int-or-string", False):
        made.pop("type", None)
    open_ended = made.pop("x-kubernetes-preserve-unknown-fields", False)
    if isinstance(made.get("properties"), dict) and "type" in made and not open_ended:
        made.setdefault("additionalProperties", False)
    return made


@pytest.fixture(scope="module")
def definition() -> Any:
    """Of a RayService."""
    text = (Path(FOLDER or "") / "ray.io_rayservices.yaml").read_text()
    versions = yaml.load(text, Loader)["spec"]["versions"]
    schema = next(v["schema"]["openAPIV3Schema"] for v in versions if v["name"] == "v1")
    schema["properties"]["metadata"] = {}
    return jsonschema.Draft202012Validator(strict(schema))


def rendered(case: str) -> Object:
    [found] = of_kind(objects_of(text_of(values_of(case))), "RayService")
    return found


@pytest.mark.parametrize("case", CASES)
def test_every_field_is_known(case: str, definition: Any) -> None:
    assert [error.message for error in definition.iter_errors(rendered(case))] == []


def test_others_are_caught(definition: Any) -> None:
    found = rendered("ha-redis")
    service([found])["spec"]["excludeHeadFromService"] = True
    cluster([found])["authOptions"]["mode"] = "tokens"
    cluster([found])["workerGroupSpecs"][0]["template"]["spec"]["gracePeriod"] = 90
    assert len(list(definition.iter_errors(found))) == 3
