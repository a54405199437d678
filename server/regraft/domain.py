"""The records that the stages hand to each other. All are immutable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self, overload

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

JSON = dict[str, Any]

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,62}$"
UPLOADED = "dataset:"
"""How a reference to data begins that came over the network."""

DATA_FIELDS = ("data", "source_data", "unlabelled", "validation", "test")
"""The fields of a spec that name data."""

RESERVED_NAMES = frozenset({"stats", "versions", "ready"})

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Number = Annotated[int, Field(ge=1, lt=2**31)]
"""Of a version or a record: what every database holds."""
Fraction = Annotated[float, Field(gt=0, lt=1)]


class AdaptationSpec(BaseModel):
    """What a user asks for: one adaptation of one source model to one data set.

    `data`, the rows of the target, `test` and `validation` are paths or data-set references;
    fractions are of the rows of `data`, in the order train, validation, test. `source_data` are
    labelled rows of another domain, which are trained on too, and `unlabelled` rows of the target
    without labels; with these `data` may be absent. After `budget` seconds training ends with the
    best model so far; a frozen backbone goes over as many rows as it suffices for. `force` lets a
    version answer whose verdict is negative; `learning_curve` adds what half and a quarter of the
    training rows give. With `class_weights` rare classes count as much as frequent ones. With the
    precision `auto` the backbone is served in less precision where that is faster and costs no more
    than `quality_loss` of the task's primary metric.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    data: str | None = None
    source_data: str | None = None
    unlabelled: str | None = None
    task: str = "text-classification"
    source: str
    strategy: str = "linear-probe"
    options: Mapping[str, Any] = Field(default_factory=dict)
    input_column: str | None = None
    label_column: str | None = None
    group_column: str | None = None
    test: str | None = None
    validation: str | None = None
    split: tuple[Fraction, Fraction, Fraction] = (0.7, 0.15, 0.15)
    limit_rows: Annotated[int, Field(gt=0)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    workers: Annotated[int, Field(ge=1, le=1024)] | None = None
    learning_curve: bool = False
    class_weights: bool = False
    budget: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    precision: Literal["auto", "fp32"] = "auto"
    quality_loss: Annotated[float, Field(ge=0, le=1)] = 0.005
    promote: bool = True
    force: bool = False

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name in RESERVED_NAMES:
            raise ValueError(f"'{name}' is reserved; choose another name")
        return name

    @model_validator(mode="after")
    def _target_is_known(self) -> Self:
        if self.data is None and self.source_data is None:
            raise ValueError("data is missing: name a file of labelled rows")
        if self.data is None and self.test is None:
            raise ValueError("without data of the target test is needed: labelled rows of it")
        return self

    def references(self) -> dict[str, str]:
        """The data that it names, by field."""
        found = {field: getattr(self, field) for field in DATA_FIELDS}
        return {field: reference for field, reference in found.items() if reference is not None}

    @model_validator(mode="after")
    def _split_sums_to_one(self) -> Self:
        if abs(sum(self.split) - 1) > 1e-6:
            raise ValueError(f"the three parts of split must sum to 1, not {sum(self.split):g}")
        return self


class State(StrEnum):
    """Where an adaptation stands; the last three are final."""

    SUBMITTED = "submitted"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return self not in (State.SUBMITTED, State.RUNNING)


@dataclass(frozen=True)
class Event:
    """One step of an adaptation's progress, numbered from 1 within it."""

    number: int
    time: datetime
    kind: str
    data: JSON


@dataclass(frozen=True)
class Adaptation:
    """One run of the pipeline. `result` is there once it succeeded, `reason` once it failed."""

    id: str
    spec: AdaptationSpec
    state: State
    submitted: datetime
    finished: datetime | None = None
    reason: str | None = None
    result: JSON | None = None
    project: str = "default"
    interrupted: int = 0
    """How often it was begun and its server stopped."""

    def as_dict(self) -> JSON:
        return {
            "id": self.id,
            "project": self.project,
            "name": self.spec.name,
            "state": str(self.state),
            "submitted": self.submitted.isoformat(),
            "finished": self.finished and self.finished.isoformat(),
            "reason": self.reason,
            "interrupted": self.interrupted,
            "spec": self.spec.model_dump(mode="json"),
            "result": self.result,
        }


@dataclass(frozen=True)
class Contents(Sequence[bytes]):
    """The contents of files, each read when it is asked for; what came without a file is kept."""

    places: tuple[Path | bytes, ...]

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> "Contents": ...
    def __getitem__(self, index: int | slice) -> "bytes | Contents":
        if isinstance(index, slice):
            return Contents(self.places[index])
        place = self.places[index]
        return place if isinstance(place, bytes) else place.read_bytes()

    def take(self, indices: Sequence[int]) -> "Contents":
        return Contents(tuple(self.places[index] for index in indices))


PARTS = ("train", "validation", "test", "unlabelled", "source")


@dataclass(frozen=True)
class Examples:
    """Labelled rows. `numbers` are the data-row numbers in the file, from 1; `keys` tell inputs
    apart that are no text: hashes of contents."""

    inputs: Sequence[Any]
    labels: tuple[str, ...]
    numbers: tuple[int, ...]
    groups: tuple[str, ...] | None = None
    keys: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def joined(self, other: "Examples") -> "Examples":
        """These rows, then the others; groups of one name in both are one group."""
        inputs: Sequence[Any]
        if isinstance(self.inputs, Contents) and isinstance(other.inputs, Contents):
            inputs = Contents(self.inputs.places + other.inputs.places)
        else:
            inputs = (*self.inputs, *other.inputs)
        return Examples(
            inputs,
            self.labels + other.labels,
            self.numbers + other.numbers,
            _joined(self.groups, other.groups, len(self), len(other)),
            None if self.keys is None or other.keys is None else self.keys + other.keys,
        )

    @property
    def identities(self) -> Sequence[str]:
        """A text a row, equal for rows of equal input."""
        return self.inputs if self.keys is None else self.keys

    def take(self, indices: Any) -> "Examples":
        """The rows at these positions, in this order."""
        chosen = [int(index) for index in indices]
        inputs = self.inputs
        return Examples(
            inputs.take(chosen)
            if isinstance(inputs, Contents)
            else tuple(inputs[i] for i in chosen),
            tuple(self.labels[i] for i in chosen),
            tuple(self.numbers[i] for i in chosen),
            None if self.groups is None else tuple(self.groups[i] for i in chosen),
            None if self.keys is None else tuple(self.keys[i] for i in chosen),
        )


def _joined(
    one: tuple[str, ...] | None, other: tuple[str, ...] | None, first: int, second: int
) -> tuple[str, ...] | None:
    """Groups of joined rows; a row without one has the group ""."""
    if one is None and other is None:
        return None
    return (one or ("",) * first) + (other or ("",) * second)


@dataclass(frozen=True)
class DataSet:
    """A data set in parts that share no row, with what is worth telling about it.

    `train` holds the rows of the target, then those of the source domain. `source` are rows of the
    source domain that are held out, `unlabelled` rows of the target have no labels.
    """

    train: Examples
    validation: Examples
    test: Examples
    labels: tuple[str, ...]
    fingerprint: str
    notes: tuple[str, ...] = ()
    unlabelled: Examples | None = None
    source: Examples | None = None
    borrowed: int = 0
    """How many of the training rows, at the end, are of the source domain."""

    @property
    def labelled(self) -> Examples:
        """All rows to learn from: those of training, then those of validation."""
        return self.train.joined(self.validation)

    def counts(self) -> dict[str, int]:
        parts = {part: getattr(self, part) for part in PARTS}
        return {part: len(rows) for part, rows in parts.items() if rows is not None}


@dataclass(frozen=True)
class Blob:
    """A stored byte string, named by what it holds."""

    sha256: str
    size: int

    def as_dict(self) -> JSON:
        return {"sha256": self.sha256, "size": self.size}


@dataclass(frozen=True)
class Upload:
    """A data set that came over the network; `reference` is what an adaptation takes as data."""

    id: str
    filename: str
    sha256: str
    size: int
    created: datetime

    @property
    def reference(self) -> str:
        return f"{UPLOADED}{self.id}"

    def as_dict(self) -> JSON:
        return {
            **vars(self),
            "created": self.created.isoformat(),
            "reference": self.reference,
        }


@dataclass(frozen=True)
class ModelVersion:
    """A published version: complete, immutable, and named by its manifest's hash."""

    name: str
    version: int
    manifest: Blob
    created: datetime
    summary: JSON = field(default_factory=dict)

    def as_dict(self) -> JSON:
        return {
            "name": self.name,
            "version": self.version,
            "created": self.created.isoformat(),
            "manifest": self.manifest.sha256,
            **self.summary,
        }


class Placement(BaseModel):
    """Where an endpoint answers: from the shared pool, or from replicas of its own, as many as its
    load needs between the two bounds; with `min_replicas` 0 none while nobody asks.

    `cpus` and `gpus` are of one replica, which computes with so many threads, `target_ongoing` is
    how many requests one shall have at a time, and `idle_seconds` for how long fewer must do before
    one is taken away.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    placement: Literal["shared", "dedicated"] = "shared"
    min_replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    max_replicas: Annotated[int, Field(ge=1, le=1000)] = 1
    cpus: Annotated[float, Field(ge=0, le=1024, allow_inf_nan=False)] = 1.0
    gpus: Annotated[float, Field(ge=0, le=64, allow_inf_nan=False)] = 0.0
    target_ongoing: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 8.0
    idle_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 60.0

    @property
    def dedicated(self) -> bool:
        return self.placement == "dedicated"

    @model_validator(mode="after")
    def _shares_are_possible(self) -> Self:
        """As Ray can give them."""
        for name in ("cpus", "gpus"):
            if round(getattr(self, name), 4) != getattr(self, name):
                raise ValueError(f"{name} ({getattr(self, name)}) has more than four decimals")
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise ValueError(f"gpus ({self.gpus}) is more than one and no whole number")
        return self

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(
                f"min_replicas ({self.min_replicas}) is more than max_replicas "
                f"({self.max_replicas})"
            )
        return self


Mode = Literal["canary", "shadow"]


@dataclass(frozen=True)
class Trial:
    """A version that is tried beside the one that answers: a `canary` answers a share of the
    requests, a `shadow` is asked a copy of a share of them and nobody hears it."""

    version: int
    mode: Mode
    share: float
    since: datetime

    def as_dict(self) -> JSON:
        return {**vars(self), "since": self.since.isoformat()}


@dataclass(frozen=True)
class Endpoint:
    """Which version of a model answers, and where; `previous` is what a rollback goes to, `placed`
    whether a dedicated endpoint's own replicas answer by now, else `waiting` says for what."""

    name: str
    version: int
    previous: int | None
    revision: int
    changed: datetime
    trial: Trial | None = None
    placement: Placement = field(default_factory=Placement)
    placed: bool = False
    waiting: str | None = None

    def as_dict(self) -> JSON:
        return {
            "name": self.name,
            "version": self.version,
            "previous": self.previous,
            "revision": self.revision,
            "changed": self.changed.isoformat(),
            "path": f"/v2/models/{self.name}",
            "trial": self.trial and self.trial.as_dict(),
            "placement": {
                **self.placement.model_dump(),
                "placed": self.placed,
                "waiting": self.waiting,
            },
        }


@dataclass(frozen=True)
class Change:
    """One change of an endpoint, and why it was made where that is not the user's own affair."""

    revision: int
    version: int
    action: str
    time: datetime
    reason: str | None = None

    def as_dict(self) -> JSON:
        return {**vars(self), "time": self.time.isoformat()}
