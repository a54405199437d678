"""The manifest of a version: everything that serving needs to know, as one JSON document."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from regraft.contract import Feature, Inputs, TensorSpec
from regraft.domain import JSON, Blob
from regraft.registry.blobs import BlobStore


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TaskReference(_Record):
    """The task and the entry point that provides it; serving loads no other."""

    name: str
    entry_point: str
    distribution: str
    version: str


class InputsRecord(_Record):
    """An `Inputs` record apart: tensors, JSON fields, and its bytes as blobs."""

    tensors: tuple[TensorSpec, ...]
    fields: JSON
    files: dict[str, Blob]

    @classmethod
    def store(cls, inputs: Inputs, blobs: BlobStore) -> "InputsRecord":
        values = {f.name: getattr(inputs, f.name) for f in fields(inputs) if f.name != "tensors"}
        files = {name: blobs.put(v) for name, v in values.items() if isinstance(v, bytes)}
        plain = {name: v for name, v in values.items() if name not in files}
        return cls(tensors=inputs.tensors, fields=plain, files=files)

    def restore(self, kind: type[Inputs], blobs: BlobStore) -> Inputs:
        files = {name: blobs.read(blob.sha256) for name, blob in self.files.items()}
        values: dict[str, Any] = {**self.fields, **files}
        return kind(tensors=self.tensors, **values)

    @property
    def key(self) -> str:
        """What two versions of one task share whose rows are encoded alike."""
        return self.model_dump_json()


class Variant(_Record):
    """The backbone in less precision, for replicas that run where its quality and speed were
    measured: on a GPU, or on a processor that has all of these instructions."""

    backbone: Blob
    precision: Literal["int8", "fp16"]
    instructions: tuple[str, ...] = ()


class Manifest(_Record):
    """A version is a backbone and a head, and what it takes to use and to trust them."""

    format: int = 1
    task: TaskReference
    labels: tuple[str, ...]
    feature: Feature
    inputs: InputsRecord
    backbone: Blob
    variant: Variant | None = None
    head: Blob
    profile: Blob | None = None
    """What its inputs were like, as `serving.profile` reads it; None where features have no one
    size."""
    report: Blob
    parity: JSON
    lineage: JSON

    def blobs(self) -> Iterator[Blob]:
        """All that it names."""
        yield from (self.backbone, self.head, self.report)
        yield from self.inputs.files.values()
        if self.profile is not None:
            yield self.profile
        if self.variant is not None:
            yield self.variant.backbone

    def store(self, blobs: BlobStore) -> Blob:
        return blobs.put(self.model_dump_json(indent=1).encode())

    @classmethod
    def load(cls, sha256: str, blobs: BlobStore) -> "Manifest":
        return cls.model_validate_json(blobs.read(sha256))
