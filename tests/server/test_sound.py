"""Sound on a server: adapted from a folder, asked for by tritonclient, and what it refuses."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks.processes import PeakMemory
from regraft.domain import AdaptationSpec
from tests.server.conftest import Server
from tests.server.processes import MOST_GROWTH, check_refusals

SCRIPT = Path(__file__).with_name("triton_sound_check.py")

pytestmark = [
    pytest.mark.ray,
    pytest.mark.clients,
    pytest.mark.usefixtures("exports"),
]


@pytest.fixture
def folder(sweeps: Path, tmp_path: Path) -> Path:
    """Good files of every kind, and such as must be refused."""
    for suffix in ("wav", "flac", "ogg"):
        content = next((sweeps / "rising").glob(f"*.{suffix}")).read_bytes()
        (tmp_path / f"good.{suffix}").write_bytes(content)
        (tmp_path / f"cut.{suffix}").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.wav").write_bytes(b"hello")
    noise = np.random.default_rng(0).normal(0, 0.001, 600 * 16_000)
    soundfile.write(tmp_path / "long.flac", noise, 16_000)
    return tmp_path


def test_a_folder_sent_to_a_server_becomes_an_endpoint_for_tritonclient(
    server: Server, triton: Path, sweeps: Path, folder: Path
) -> None:
    asked = {"task": "audio-classification", "source": "whisper-tiny-en", "data": str(sweeps)}
    with server.client() as client:
        spec = AdaptationSpec(name="sweeps", split=(0.6, 0.2, 0.2), force=True, **asked)
        result = client.adapt(spec, False, lambda kind, data: None)
        good = [(folder / f"good.{kind}").read_bytes() for kind in ("wav", "flac", "ogg")]
        answer = client.predict("sweeps", good)
    assert result["parity"]["argmax_agreement"] == 1
    assert {row["label"] for row in answer["predictions"]} <= {"rising", "falling"}

    peak = PeakMemory(server.home.root)
    command = [triton, SCRIPT, server.url.removeprefix("http://"), "sweeps", folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["inputs"] == [{"name": "audio", "datatype": "BYTES", "shape": [-1]}]
    labels = [row["label"] for row in answer["predictions"]]
    assert [found[f"good.{kind}"] for kind in ("wav", "flac", "ogg")] == [[x] for x in labels]
    assert len(found["raw"]) == 3
    check_refusals(
        found,
        {
            "cut.wav": ("400", "cut off"),
            "cut.flac": ("400", "it is damaged"),
            "cut.ogg": ("400", "damaged"),
            "text.wav": ("400", "no sound file"),
            "long.flac": ("413", "at most 300 s"),
            "raw of another type": ("400", "must be FP32"),
            "raw of another shape": ("400", "must have the shape [-1, -1]"),
            "raw too loud": ("400", "from -1 to 1"),
        },
    )
    assert peak.growth() < MOST_GROWTH
