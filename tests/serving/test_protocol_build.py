"""Inference responses and model metadata, as clients read them."""

import json
from typing import Any

import numpy as np
import pytest

from regraft.contract import Arrays, TensorSpec
from regraft.serving.model_metadata import tensor_metadata
from regraft.serving.protocol import (
    InferRequest,
    InferResponse,
    RequestedOutput,
    build_infer,
    check_outputs,
    choose_outputs,
    error_body,
)
from regraft.serving.tensors import BadRequestError, datatype_of

LABEL = np.array(["good", "ßad"], np.object_)
SCORES = np.array([[0.5, 0.25], [1, 0]], np.float32)
LABELS = ("good", "ßad")
TENSORS = {"label": LABEL, "scores": SCORES}


def answer(
    *outputs: RequestedOutput, binary: bool = False, id: str = "", tensors: Arrays = TENSORS
) -> InferResponse:
    request = InferRequest(id, {}, {}, outputs or None, binary)
    specs = [
        TensorSpec(name, datatype_of(array), ("batch", *array.shape[1:]))
        for name, array in tensors.items()
    ]
    check_outputs(request, specs, LABELS)
    return build_infer("reviews", 3, request, choose_outputs(request, tensors, LABELS))


def split(response: InferResponse) -> tuple[Any, bytes]:
    length = int(response.headers["Inference-Header-Content-Length"])
    return json.loads(response.body[:length]), response.body[length:]


def test_all_outputs_in_json() -> None:
    response = answer()
    assert response.headers == {"content-type": "application/json"}
    assert json.loads(response.body) == {
        "model_name": "reviews",
        "model_version": "3",
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["good", "ßad"]},
            {"name": "scores", "datatype": "FP32", "shape": [2, 2], "data": [0.5, 0.25, 1, 0]},
        ],
    }


def test_all_outputs_in_binary() -> None:
    response = answer(binary=True)
    head, tail = split(response)
    assert response.headers["content-type"] == "application/octet-stream"
    assert [entry["parameters"]["binary_data_size"] for entry in head["outputs"]] == [16, 16]
    assert tail == b"\x04\0\0\0good\x04\0\0\0\xc3\x9fad" + SCORES.tobytes()


def test_an_output_overrides_the_form_of_the_request() -> None:
    head, tail = split(
        answer(RequestedOutput("scores"), RequestedOutput("label", False), binary=True)
    )
    assert [set(entry) & {"data", "parameters"} for entry in head["outputs"]] == [
        {"parameters"},
        {"data"},
    ]
    assert tail == SCORES.tobytes()
    mixed, tail = split(answer(RequestedOutput("label"), RequestedOutput("scores", True)))
    assert mixed["outputs"][0]["data"] == ["good", "ßad"]
    assert tail == SCORES.tobytes()


def test_only_the_requested_outputs_in_their_order() -> None:
    names = [RequestedOutput("scores"), RequestedOutput("label")]
    assert [entry["name"] for entry in json.loads(answer(*names).body)["outputs"]] == [
        "scores",
        "label",
    ]
    assert len(json.loads(answer(names[0]).body)["outputs"]) == 1


def test_an_unknown_output_lists_the_known_ones() -> None:
    with pytest.raises(BadRequestError, match=r"Unknown output 'lable'. Known: label, scores"):
        answer(RequestedOutput("lable"))


def test_the_id_is_echoed_only_when_given() -> None:
    assert json.loads(answer(id="ab 7").body)["id"] == "ab 7"
    assert "id" not in json.loads(answer().body)


def test_values_that_are_not_finite_are_null_that_numpy_reads_as_nan() -> None:
    body = answer(tensors={"scores": np.array([np.nan, np.inf, 1], np.float32)}).body
    data = json.loads(body)["outputs"][0]["data"]
    assert data == [None, None, 1]
    np.testing.assert_array_equal(np.array(data, np.float32), [np.nan, np.nan, 1])


def test_an_empty_binary_output_still_has_its_header() -> None:
    head, tail = split(answer(binary=True, tensors={"x": np.zeros((0, 4), np.int64)}))
    assert head["outputs"][0]["parameters"] == {"binary_data_size": 0}
    assert tail == b""


def test_error_body_survives_any_message() -> None:
    assert json.loads(error_body('no "é"\n')) == {"error": 'no "é"\n'}
    assert json.loads(error_body("\ud800")) == {"error": "?"}


def test_named_axes_are_minus_one_in_metadata() -> None:
    specs = [TensorSpec("text", "BYTES", ("batch",)), TensorSpec("scores", "FP32", ("batch", 3))]
    assert tensor_metadata(specs) == [
        {"name": "text", "datatype": "BYTES", "shape": [-1]},
        {"name": "scores", "datatype": "FP32", "shape": [-1, 3]},
    ]


def test_classes_are_told_best_first_with_their_numbers() -> None:
    wanted = RequestedOutput("scores", classification=5)
    (entry,) = json.loads(answer(wanted).body)["outputs"]
    assert (entry["datatype"], entry["shape"]) == ("BYTES", [2, 2])
    assert entry["data"] == [
        "0.500000:0:good",
        "0.250000:1:ßad",
        "1.000000:0:good",
        "0.000000:1:ßad",
    ]
    (first,) = json.loads(answer(RequestedOutput("scores", classification=1)).body)["outputs"]
    assert first["data"] == ["0.500000:0:good", "1.000000:0:good"]


@pytest.mark.parametrize(
    "tensors", [TENSORS, {"label": SCORES[:, :1]}, {"label": SCORES.astype(np.int64)}]
)
def test_what_has_no_number_for_each_class_is_not_told_as_classes(tensors: Arrays) -> None:
    with pytest.raises(BadRequestError, match="'label' has no number for each class"):
        answer(RequestedOutput("label", classification=1), tensors=tensors)
