"""The messages of the protocol's gRPC form, and of gRPC's health check.

They are made from the table below in a pool of descriptors of our own: the generated modules of
clients register the same names in the common one, and a plugin may import any of them. Source:
github.com/kserve/open-inference-protocol, specification/protocol/open_inference_grpc.proto, and
github.com/grpc/grpc, src/proto/grpc/health/v1/health.proto.
"""

import copyreg
from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

INFERENCE, HEALTH = "inference", "grpc.health.v1"
CHOICE = "parameter_choice"

_INFERENCE = """
ServerLiveRequest
ServerLiveResponse        1 bool live
ServerReadyRequest
ServerReadyResponse       1 bool ready
ModelReadyRequest         1 string name, 2 string version
ModelReadyResponse        1 bool ready
ServerMetadataRequest
ServerMetadataResponse    1 string name, 2 string version, 3 string* extensions
ModelMetadataRequest      1 string name, 2 string version
ModelMetadataResponse     1 string name, 2 string* versions, 3 string platform, \
4 TensorMetadata* inputs, 5 TensorMetadata* outputs
TensorMetadata            1 string name, 2 string datatype, 3 int64* shape
InferParameter            1 bool? bool_param, 2 int64? int64_param, 3 string? string_param, \
4 double? double_param, 5 uint64? uint64_param
Parameter                 1 string key, 2 InferParameter value
InferTensorContents       1 bool* bool_contents, 2 int32* int_contents, 3 int64* int64_contents, \
4 uint32* uint_contents, 5 uint64* uint64_contents, 6 float* fp32_contents, \
7 double* fp64_contents, 8 bytes* bytes_contents
Tensor                    1 string name, 2 string datatype, 3 int64* shape, \
4 Parameter* parameters, 5 InferTensorContents contents
RequestedOutput           1 string name, 2 Parameter* parameters
ModelInferRequest         1 string model_name, 2 string model_version, 3 string id, \
4 Parameter* parameters, 5 Tensor* inputs, 6 RequestedOutput* outputs, 7 bytes* raw_input_contents
ModelInferResponse        1 string model_name, 2 string model_version, 3 string id, \
4 Parameter* parameters, 5 Tensor* outputs, 6 bytes* raw_output_contents
"""
"""Number, type and name of each field: `*` is repeated, `?` one of several. A map is, on the wire,
a list of keys with values."""

_HEALTH = """
HealthCheckRequest        1 string service
HealthCheckResponse       1 int32 status
"""
SERVING, NOT_SERVING = 1, 2


def _messages(package: str, table: str) -> dict[str, Any]:
    file = FileDescriptorProto(name=f"regraft/{package}.proto", package=package, syntax="proto3")
    for line in table.strip().splitlines():
        name, _, fields = line.partition(" ")
        _describe(file.message_type.add(name=name), package, fields)
    pool = DescriptorPool()
    pool.Add(file)
    return {
        kind.name: GetMessageClass(pool.FindMessageTypeByName(f"{package}.{kind.name}"))
        for kind in file.message_type
    }


def _describe(message: DescriptorProto, package: str, fields: str) -> None:
    for text in filter(None, map(str.strip, fields.split(","))):
        number, kind, name = text.split()
        field = message.field.add(name=name, number=int(number))
        field.label = (
            FieldDescriptorProto.LABEL_REPEATED
            if kind.endswith("*")
            else FieldDescriptorProto.LABEL_OPTIONAL
        )
        if kind.endswith("?"):
            field.oneof_index = 0
        plain = kind.rstrip("*?")
        if plain[0].isupper():
            field.type = FieldDescriptorProto.TYPE_MESSAGE
            field.type_name = f".{package}.{plain}"
        else:
            field.type = FieldDescriptorProto.Type.Value(f"TYPE_{plain.upper()}")
    if any(field.HasField("oneof_index") for field in message.field):
        message.oneof_decl.add(name=CHOICE)


def _read(name: str, content: bytes) -> Any:
    return MESSAGES[name].FromString(content)


def _written(message: Any) -> tuple[Any, ...]:
    return _read, (message.DESCRIPTOR.name, message.SerializeToString())


MESSAGES = {**_messages(INFERENCE, _INFERENCE), **_messages(HEALTH, _HEALTH)}
for _kind in MESSAGES.values():
    # Where an endpoint has no replica at the moment Ray's proxy hands a request on, pickled.
    copyreg.pickle(_kind, _written)
