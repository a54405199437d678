"""Images on a server: adapted from a folder that the client sends, asked for by tritonclient."""

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks.processes import PeakMemory
from regraft.domain import AdaptationSpec
from tests.server.conftest import Server
from tests.server.processes import MOST_GROWTH, check_refusals

SCRIPT = Path(__file__).with_name("triton_images_check.py")

pytestmark = [
    pytest.mark.ray,
    pytest.mark.clients,
    pytest.mark.usefixtures("exports"),
]


def test_a_folder_sent_to_a_server_becomes_an_endpoint_for_tritonclient(
    server: Server, triton: Path, shapes: Path
) -> None:
    asked = {"task": "image-classification", "source": "efficientnet-lite0", "data": str(shapes)}
    with server.client() as client:
        spec = AdaptationSpec(name="shapes", split=(0.6, 0.2, 0.2), force=True, **asked)
        result = client.adapt(spec, False, lambda kind, data: None)
    assert result["metrics"]["accuracy"] == 1

    picture = next((shapes / "bar").iterdir())
    with server.client() as client:
        answer = client.predict("shapes", [picture.read_bytes()])
    assert [row["label"] for row in answer["predictions"]] == ["bar"]
    peak = PeakMemory(server.home.root)
    command = [triton, SCRIPT, server.url.removeprefix("http://"), "shapes", picture]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert found["files"] == ["bar", "bar"]
    assert set(found["pixels"]) <= {"bar", "disc"}
    assert len(found["pixels"]) == 3
    check_refusals(
        found,
        {
            "text": ("400", "no image"),
            "truncated": ("400", "damaged"),
            "huge": ("413", "8000 × 6250 pixels; at most 25,000,000"),
            "four_channels": ("400", "must have the shape [-1, -1, -1, 3]"),
            "floats": ("400", "must be UINT8"),
        },
    )
    assert peak.growth() < MOST_GROWTH
