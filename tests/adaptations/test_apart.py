"""What a source model does to the process that opens it is nothing to ours."""

from pathlib import Path

import pytest

from regraft.adaptations.apart import check_apart, show_apart
from regraft.domain import AdaptationSpec
from regraft.errors import InvalidInputError, RefusedError


def test_what_ends_the_process_that_opens_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here a package whose import does."""
    (tmp_path / "deadly.py").write_text("import os\n\nos.abort()\n")
    described = tmp_path / "deadly-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: deadly\nVersion: 1.0\n")
    (described / "top_level.txt").write_text("deadly\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    given = {"source": "torch:deadly:Model?init=random", "task": "image-classification"}
    with pytest.raises(InvalidInputError, match=r"opening it ended the process \(exit status -6\)"):
        check_apart(AdaptationSpec(name="m", data="x.csv", **given))


def test_what_is_known_and_what_is_wrong_comes_back_as_from_here(tiny_bert: Path) -> None:
    assert show_apart(str(tiny_bert))["modality"] == "text"
    wrong = AdaptationSpec(name="m", data="x.csv", source=str(tiny_bert), strategy="nothing")
    with pytest.raises(RefusedError, match="Unknown strategy 'nothing'") as caught:
        check_apart(wrong)
    assert caught.value.status == 404
