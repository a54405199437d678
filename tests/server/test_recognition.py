"""Speech recognition on a server: trained by Ray, exported with its lengths free, and asked."""

import csv
from pathlib import Path

import pytest

from regraft.domain import AdaptationSpec
from tests.server.conftest import Server

pytestmark = pytest.mark.ray


def test_transcripts_train_a_head_of_characters(
    server: Server, sweeps: Path, tiny_hubert: Path
) -> None:
    """The words are those of generated tones: that it runs is tested here, how well in
    `benchmarks.recognition`."""
    table = sweeps.parent / "transcripts.csv"
    files = sorted(path for path in sweeps.rglob("*") if path.is_file())
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "text"])
        writer.writerows([f"sweeps/{p.parent.name}/{p.name}", p.parent.name] for p in files)
    spec = AdaptationSpec(
        name="spoken",
        data=str(table),
        task="speech-recognition",
        source=str(tiny_hubert),
        strategy="full",
        options={"epochs": 2, "learning_rate": 1e-3, "least_steps": 0},
        split=(0.6, 0.2, 0.2),
        workers=2,
        force=True,
    )
    with server.client() as client:
        result = client.adapt(spec, False, lambda kind, data: None)
        contents = [files[0].read_bytes(), files[-1].read_bytes()]
        answer = client.predict("spoken", contents)
    assert result["feature"] == "layer-2"
    assert result["parity"]["argmax_agreement"] == 1
    assert result["metrics"]["loss"] < 20
    assert [set(row) for row in answer["predictions"]] == [{"text", "score"}] * 2
