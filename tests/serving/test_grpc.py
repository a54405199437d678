"""The protocol over gRPC: messages of a client's own generated code mean the same here."""

import asyncio
import copyreg
import threading
import time
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import grpc
import numpy as np
import pytest

from regraft.errors import (
    DeadlineError,
    InvalidInputError,
    NotReadyError,
    OverloadedError,
    RegraftError,
    TooLargeError,
    UnknownNameError,
    UnsupportedError,
)
from regraft.identity.authenticator import anybody
from regraft.serving.aside import LARGE
from regraft.serving.grpc_messages import INFERENCE, MESSAGES
from regraft.serving.grpc_protocol import build_infer, parse_infer
from regraft.serving.grpc_service import SERVICES, GRPCService, add_services, code_of
from regraft.serving.protocol import InferRequest, RequestedOutput
from regraft.serving.tensors import DTYPES, MOST_ITEMS, PIECE, BadRequestError


def request(**changes: Any) -> Any:
    """Two texts and a row of numbers, as contents."""
    message = MESSAGES["ModelInferRequest"](model_name="reviews", id="seven")
    message.inputs.add(name="text", datatype="BYTES", shape=[2])
    message.inputs[0].contents.bytes_contents.extend([b"good", b""])
    message.inputs.add(name="numbers", datatype="FP32", shape=[1, 2])
    message.inputs[1].contents.fp32_contents.extend([0.5, 1.5])
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def raw(message: Any, *contents: bytes) -> Any:
    for entry in message.inputs:
        entry.ClearField("contents")
    message.raw_input_contents.extend(contents)
    return message


def test_contents_and_raw_bytes_are_the_same_tensors() -> None:
    numbers = np.array([[0.5, 1.5]], "<f4").tobytes()
    as_raw = raw(request(), b"\4\0\0\0good\0\0\0\0", numbers)
    for message in (request(), as_raw):
        found = parse_infer(type(message).FromString(message.SerializeToString()))
        assert found.id == "seven"
        assert found.tensors["text"].tolist() == [b"good", b""]
        assert found.tensors["numbers"].tolist() == [[0.5, 1.5]]
        assert found.outputs is None


def test_outputs_and_their_classes_are_asked_for() -> None:
    message = request()
    message.outputs.add(name="label")
    entry = message.outputs.add(name="scores").parameters.add(key="classification")
    entry.value.int64_param = 3
    assert parse_infer(message).outputs == (
        RequestedOutput("label", True),
        RequestedOutput("scores", True, 3),
    )


def with_parameter(name: str, text: str | None = None) -> Any:
    message = request()
    entry = message.inputs[0].parameters.add(key=name)
    if text is not None:
        entry.value.string_param = text
    return message


def twice() -> Any:
    message = request()
    message.inputs[1].name = "text"
    return message


def of_type(datatype: str) -> Any:
    message = request()
    message.inputs[1].datatype = datatype
    return message


def of_shape(*shape: int) -> Any:
    message = request()
    message.inputs[1].shape[:] = shape
    return message


def half_raw() -> Any:
    message = request()
    message.raw_input_contents.extend([b"", b""])
    return message


def with_classes(count: int) -> Any:
    message = request()
    entry = message.outputs.add(name="label").parameters.add(key="classification")
    entry.value.int64_param = count
    return message


def with_outputs(*names: str) -> Any:
    message = request()
    for name in names:
        message.outputs.add(name=name)
    return message


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (MESSAGES["ModelInferRequest"](), "at least one tensor"),
        (raw(request(), b""), "an entry for each of the 2 inputs, not 1"),
        (raw(request(), b"\4\0\0\0go", bytes(8)), "'text'"),
        (half_raw(), "has 'contents' beside 'raw_input_contents'"),
        (twice(), "twice among 'inputs'"),
        (of_type("INT64"), "'INT64' is not given in fp32_contents, but in int64_contents"),
        (of_type("FP16"), "but in raw_input_contents"),
        (of_type("FOO"), "unknown datatype 'FOO'"),
        (with_classes(0), "must be a number of classes"),
        (with_outputs("a", "a"), "twice among 'outputs'"),
        (with_outputs(""), "must have a 'name'"),
        (raw(request(), b"", b"", b""), "an entry for each of the 2 inputs, not 3"),
        (raw(request(), bytes(8), bytes(7)), "needs 8 bytes|8 bytes"),
        (raw(of_shape(-1, 2), bytes(8), bytes(8)), "no axis of 'shape' may be negative"),
        (raw(of_shape(2**62, 4), bytes(8), bytes(8)), "more than"),
        (of_shape(1, 3), "needs 3 elements, not 2"),
        (of_shape(-1, -2), "no axis of 'shape' may be negative"),
        (of_shape(2**62, 2**62), "more than"),
        (with_parameter("any"), "has no value"),
    ],
)
def test_a_wrong_message_is_refused_with_its_reason(message: Any, text: str) -> None:
    with pytest.raises(BadRequestError, match=text):
        parse_infer(message)


def test_shared_memory_is_not_supported() -> None:
    with pytest.raises(UnsupportedError, match="Shared memory"):
        parse_infer(with_parameter("shared_memory_region", "a"))


def test_an_answer_carries_its_outputs_as_raw_bytes() -> None:
    label = np.array([b"good"], object)
    scores = np.array([[0.5, 0.25]], np.float32)
    asked = InferRequest("seven", {}, {}, None, True)
    chosen = [(RequestedOutput("label"), label), (RequestedOutput("scores"), scores)]
    answer = build_infer("reviews", 3, asked, chosen)
    assert (answer.model_name, answer.model_version, answer.id) == ("reviews", "3", "seven")
    assert [(o.name, o.datatype, list(o.shape)) for o in answer.outputs] == [
        ("label", "BYTES", [1]),
        ("scores", "FP32", [1, 2]),
    ]
    assert list(answer.raw_output_contents) == [b"\4\0\0\0good", scores.tobytes()]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadRequestError("x"), "INVALID_ARGUMENT"),
        (InvalidInputError("x"), "INVALID_ARGUMENT"),
        (UnknownNameError("endpoint", "x", []), "NOT_FOUND"),
        (UnsupportedError("x"), "UNIMPLEMENTED"),
        (NotReadyError("x"), "UNAVAILABLE"),
        (OverloadedError("x"), "RESOURCE_EXHAUSTED"),
        (DeadlineError("x"), "DEADLINE_EXCEEDED"),
        (RegraftError("x"), "INTERNAL"),
    ],
)
def test_errors_have_codes(error: RegraftError, code: str) -> None:
    assert code_of(error).name == code


class Context:
    """What Ray hands a method."""

    def __init__(self, peer: str, **metadata: str) -> None:
        self._peer, self.code, self.details = peer, None, ""
        self.metadata = {name.replace("_", "-"): value for name, value in metadata.items()}

    def peer(self) -> str:
        return self._peer

    def invocation_metadata(self) -> list[tuple[str, str]]:
        return list(self.metadata.items())

    def trailing_metadata(self) -> list[tuple[str, str]]:
        return [("request_id", "told-by-ray")]

    def set_code(self, code: Any) -> None:
        self.code = code

    def set_details(self, details: str) -> None:
        self.details = details


@pytest.mark.parametrize(
    ("peer", "local", "answered"),
    [
        ("ipv4:127.0.0.1:5", True, True),
        ("ipv6:%5B::1%5D:5", True, True),
        ("ipv4:10.0.0.7:5", True, False),
        ("ipv6:%5B::ffff:10.0.0.7%5D:5", True, False),
        ("ipv4:10.0.0.7:5", False, True),
    ],
)
def test_a_local_server_answers_none_but_this_machine(
    peer: str, local: bool, answered: bool
) -> None:
    context, nothing = Context(peer), Any
    service = GRPCService(nothing, local)  # type: ignore[arg-type]
    answer = asyncio.run(service.call("ServerLive", None, context))
    assert answer.live is answered
    assert context.code == (None if answered else grpc.StatusCode.PERMISSION_DENIED)


@pytest.mark.parametrize(
    ("given", "metadata", "known"),
    [
        ("mine", {"x_request_id": "theirs"}, "mine"),
        ("", {"x_request_id": "theirs"}, "theirs"),
        ("", {}, "told-by-ray"),
    ],
)
def test_a_call_is_recorded_under_an_id_that_its_caller_knows(
    given: str, metadata: dict[str, str], known: str
) -> None:
    found = []

    def recorded(_: Any, identifier: str, carrier: Any) -> Any:
        found.append(identifier)
        raise UnsupportedError("far enough")

    inference: Any = SimpleNamespace(recorded=recorded, authenticate=anybody)
    context = Context("ipv4:127.0.0.1:5", **metadata)
    message = MESSAGES["ModelInferRequest"](model_name="m", id=given)
    asyncio.run(GRPCService(inference, True).call("ModelInfer", message, context))
    assert found == [known]


def refused(method: str, message: Any, infer: Any = None, most: int = 10_000) -> tuple[str, str]:
    """The code and the text with which a call ends."""
    context = Context("ipv4:127.0.0.1:5")
    inference: Any = SimpleNamespace(
        recorded=lambda *_: nullcontext(SimpleNamespace(id="")),
        caps=SimpleNamespace(body=most),
        authenticate=anybody,
        found=lambda _, name: infer(name),
    )
    asyncio.run(GRPCService(inference, True).call(method, message, context))
    assert context.code is not None
    return context.code.name, context.details


def test_what_is_no_message_is_the_clients_fault() -> None:
    told: dict[str, Any] = {}

    class Server:
        def add_generic_rpc_handlers(self, handlers: Any) -> None:
            told.update(handlers[0]._method_handlers)

    add_services(SimpleNamespace(**{m: m for ms in SERVICES.values() for m in ms}), Server())
    read = told[f"/{INFERENCE}.GRPCInferenceService/ModelInfer"].request_deserializer
    message = request()
    assert read(message.SerializeToString()) == message
    for wrong in (b"\xff\xff\xff", b"\x0a\x02\xff\xfe"):
        code, text = refused("ModelInfer", read(wrong))
        assert code == "INVALID_ARGUMENT"
        assert "no ModelInferRequest" in text


def test_a_message_that_is_too_large_and_what_nobody_foresaw_have_codes_and_no_paths(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(name: str) -> Any:
        raise RuntimeError("/secret/path broke")

    async def full(name: str) -> Any:
        raise OverloadedError("The queue is full.")

    code, text = refused("ModelInfer", request(id="x" * 20_000))
    assert (code, "larger than 10,000" in text) == ("INVALID_ARGUMENT", True)
    code, text = refused("ModelInfer", request(), broken)
    assert code == "INTERNAL"
    assert "secret" not in text
    assert text.split()[-1].strip(".") in caplog.text
    assert refused("ModelInfer", request(), full) == ("RESOURCE_EXHAUSTED", "The queue is full.")


def test_a_long_reason_is_cut_to_what_clients_take() -> None:
    async def wordy(name: str) -> Any:
        raise InvalidInputError("x" * 20_000)

    code, text = refused("ModelInfer", request(), wordy)
    assert (code, len(text)) == ("INVALID_ARGUMENT", 2000)


def test_contents_of_many_numbers_are_read_in_pieces_that_each_are_checked() -> None:
    message = request()
    for datatype, field in (("FP32", "fp32_contents"), ("UINT8", "uint_contents")):
        values = np.arange(3 * PIECE - 1) % 256
        del message.inputs[1:]
        message.inputs.add(name="numbers", datatype=datatype, shape=[len(values)])
        getattr(message.inputs[1].contents, field).extend(values)
        found = parse_infer(message).tensors["numbers"]
        assert found.dtype == DTYPES[datatype]
        np.testing.assert_array_equal(found, values)
    message.inputs[1].contents.uint_contents[-1] = 256
    with pytest.raises(BadRequestError, match="UINT8 must be from 0 to 255"):
        parse_infer(message)


def test_many_short_texts_are_refused_before_they_are_copied() -> None:
    message = request()
    message.inputs[0].contents.bytes_contents.extend([b""] * MOST_ITEMS)
    message.inputs[0].shape[:] = [MOST_ITEMS + 2]
    with pytest.raises(TooLargeError, match="65,538 elements"):
        parse_infer(message)


def test_a_large_message_is_read_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def noted(message: Any) -> Any:
        threads.append(threading.current_thread())
        raise BadRequestError("noted")

    async def found(name: str) -> Any:
        return None

    monkeypatch.setattr("regraft.serving.grpc_protocol.parse_infer", noted)
    for size in (LARGE // 2, LARGE):
        assert refused("ModelInfer", request(id="x" * size), found, 2 * LARGE)[1] == "noted"
    assert [thread is threading.main_thread() for thread in threads] == [True, False]


def test_many_tensors_are_told_apart_at_once() -> None:
    message = request()
    for number in range(4000):
        message.outputs.add(name=f"output {number}")
    begin = time.process_time()
    assert len(parse_infer(message).outputs or ()) == 4000
    assert time.process_time() - begin < 1


def test_every_method_is_told_to_the_server() -> None:
    told: dict[str, Any] = {}

    class Server:
        def add_generic_rpc_handlers(self, handlers: Any) -> None:
            told.update(handlers[0]._method_handlers)

    class Servicer:
        def __getattr__(self, name: str) -> Any:
            return name

    add_services(Servicer(), Server())
    assert set(told) == {f"/{s}/{m}" for s, methods in SERVICES.items() for m in methods}


def test_messages_go_from_process_to_process() -> None:
    message = request()
    read, given = copyreg.dispatch_table[type(message)](message)
    assert read(*given) == message
