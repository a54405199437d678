"""Which references are Transformers checkpoints, and what is said of others."""

from pathlib import Path

import pytest

from regraft.errors import InvalidInputError
from regraft_transformers.reference import Options, locate


def test_folder_is_found_by_its_path_with_and_without_the_prefix(tiny_bert: Path) -> None:
    assert locate(str(tiny_bert)) == (tiny_bert, Options())
    assert locate(f"hf:{tiny_bert}") == (tiny_bert, Options())
    assert locate(f"{tiny_bert}?init=random") == (tiny_bert, Options(init="random"))


def test_catalogue_name_is_the_folder_of_its_package() -> None:
    found = locate("minilm-l6?init=random")
    assert found is not None
    assert (found[0] / "config.json").is_file()
    assert found[1].init == "random"


@pytest.mark.parametrize("reference", ["word", "onnx:model.onnx", "/no/such/folder", "a/b/c"])
def test_other_references_are_left_to_others(reference: str) -> None:
    assert locate(reference) is None


@pytest.mark.parametrize("content", [None, "{", "[]", "3", '{"hidden_size": 8}'])
def test_folder_without_a_model_type_is_left_to_others(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    assert locate(str(tmp_path)) is None
    with pytest.raises(InvalidInputError, match=r"no config\.json that names a model_type"):
        locate(f"hf:{tmp_path}")


@pytest.mark.parametrize("reference", ["regraft-tests/no-such-model", "hf:regraft-tests/none"])
def test_model_that_the_hub_does_not_give_is_refused_with_the_way_out(reference: str) -> None:
    with pytest.raises(InvalidInputError, match=r"neither a local folder nor .* hub.*local folder"):
        locate(reference)


@pytest.mark.parametrize("reference", ["~nouser/x", "a" * 5000, f"a/{'b' * 5000}", "models/a.onnx"])
def test_what_is_no_folder_is_left_to_others_unless_the_prefix_says_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.onnx").touch()
    assert locate(reference) is None
    with pytest.raises(InvalidInputError, match=r"cannot be opened|is a file, not a folder"):
        locate(f"hf:{reference}")
