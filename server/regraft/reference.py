"""How a source model is named: a catalogue name, a path, or KIND:TARGET#PART?OPTION=VALUE."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from regraft.errors import InvalidInputError

KIND = re.compile(r"^([a-z]{2,}):(.*)$", re.DOTALL)
OPTIONS = re.compile(r"^(.*)\?((?:[a-z_]+=[^?&#]*)(?:&[a-z_]+=[^?&#]*)*)$", re.DOTALL)

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Reference:
    """`kind` is None without a prefix, `part` without a `#`."""

    target: str
    kind: str | None = None
    part: str | None = None
    options: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Self:
        """`onnx:m.onnx#features?size=96` is the target m.onnx of the kind onnx, and so on."""
        found = OPTIONS.match(text)
        rest, options = (
            (found[1], dict(parse_qsl(found[2], keep_blank_values=True))) if found else (text, {})
        )
        prefixed = KIND.match(rest)
        kind, rest = (prefixed[1], prefixed[2]) if prefixed else (None, rest)
        target, mark, part = rest.partition("#")
        return cls(target, kind, part if mark else None, options)

    def read(self, model: type[Model]) -> Model:
        """The options as this record; InvalidInputError names what is wrong and what there is."""
        try:
            return model.model_validate(self.options)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            known = ", ".join(model.model_fields)
            raise InvalidInputError(
                f"'{self.target}': {wrong}. Options of this reference: {known}."
            ) from error


def located(text: str) -> str:
    """The reference with the file or folder that it names here, if it does, as a full path."""
    parsed = Reference.parse(text)
    before, mark, path = parsed.target.rpartition("@")
    try:
        found = Path(path).expanduser()
        if not path or not found.exists():
            return text
    except (OSError, RuntimeError, ValueError):
        return text
    prefix = len(parsed.kind) + 1 if parsed.kind else 0
    start = prefix + len(before + mark)
    return f"{text[:start]}{found.resolve()}{text[start + len(path) :]}"


def untrained(text: str) -> str:
    """The reference to the same architecture with random weights."""
    return f"{text}{'&' if OPTIONS.match(text) else '?'}init=random"


def is_untrained(text: str) -> bool:
    return Reference.parse(text).options.get("init") == "random"


Channels = tuple[float, float, float]


class SourceOptions(BaseModel):
    """What a reference may say of any source model: `init=random` is the untrained one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    init: Literal["random"] | None = None

    @property
    def untrained(self) -> bool:
        return self.init == "random"


class PixelOptions(BaseModel):
    """How an image model wants its pixels: `resize` is the shorter side before the centre of `size`
    is cut out, with `squash` the whole image is brought to `size`; mean and deviation are of values
    from 0 to 255, one number or one a channel (the defaults are ImageNet's)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: Annotated[int, Field(ge=8, le=1024)] = 224
    resize: Annotated[int, Field(ge=8, le=2048)] | None = None
    squash: bool = False
    mean: Channels = (123.675, 116.28, 103.53)
    deviation: Channels = (58.395, 57.12, 57.375)

    @field_validator("mean", "deviation", mode="before")
    @classmethod
    def _three(cls, value: Any) -> Any:
        parts = value.split(",") if isinstance(value, str) else value
        return parts * 3 if isinstance(parts, list) and len(parts) == 1 else parts

    @field_validator("deviation")
    @classmethod
    def _positive(cls, value: Channels) -> Channels:
        if min(value) <= 0:
            raise ValueError("must be greater than 0")
        return value


class TrainablePixelOptions(SourceOptions, PixelOptions):
    """Of an image model that may be left untrained."""
