"""How source models are named."""

from pathlib import Path

import pytest

from regraft.errors import InvalidInputError
from regraft.reference import PixelOptions, Reference, SourceOptions, located


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("minilm-l6", Reference("minilm-l6")),
        ("minilm-l6?init=random", Reference("minilm-l6", options={"init": "random"})),
        ("onnx:a/m.onnx#out", Reference("a/m.onnx", "onnx", "out")),
        ("m.onnx#a/b:0?size=96", Reference("m.onnx", part="a/b:0", options={"size": "96"})),
        ("torch:a.b:C@w.pt", Reference("a.b:C@w.pt", "torch")),
        ("x?mean=1,2,3&deviation=2", Reference("x", options={"mean": "1,2,3", "deviation": "2"})),
        ("what?", Reference("what?")),
        ("C:/models", Reference("C:/models")),
    ],
)
def test_reference_is_taken_apart(text: str, expected: Reference) -> None:
    assert Reference.parse(text) == expected


def test_pixel_options_are_one_number_or_three() -> None:
    read = Reference.parse("x?mean=1,2,3&deviation=2&size=64").read(PixelOptions)
    assert (read.mean, read.deviation, read.size) == ((1, 2, 3), (2, 2, 2), 64)


@pytest.mark.parametrize("options", ["mean=1,2", "deviation=-1", "size=big", "other=1"])
def test_wrong_options_are_refused_beside_the_right_ones(options: str) -> None:
    with pytest.raises(
        InvalidInputError, match="Options of this reference: size, resize, squash, mean"
    ):
        Reference.parse(f"x?{options}").read(PixelOptions)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{name}", "{full}"),
        ("onnx:{name}#out?size=9", "onnx:{full}#out?size=9"),
        ("torch:torch.nn:Identity@{name}?size=9", "torch:torch.nn:Identity@{full}?size=9"),
        ("onnx:onnx", "onnx:{folder}"),
        ("none.onnx", "none.onnx"),
        ("minilm-l6", "minilm-l6"),
        ("", ""),
    ],
)
def test_a_file_that_is_here_is_named_in_full(
    text: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.onnx").touch()
    (tmp_path / "onnx").mkdir()
    names = {"name": "m.onnx", "full": tmp_path / "m.onnx", "folder": tmp_path / "onnx"}
    assert located(text.format(**names)) == expected.format(**names)


def test_an_option_without_a_value_is_not_passed_over() -> None:
    """`bert?init=` would be the trained model."""
    with pytest.raises(InvalidInputError, match="init"):
        Reference.parse("bert?init=").read(SourceOptions)
