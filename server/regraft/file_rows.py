"""What every task shares whose rows are files: their checks, and what a request may carry."""

from abc import abstractmethod
from typing import Any, ClassVar

from regraft.contract import Array, Arrays, Task, TensorSpec
from regraft.errors import RegraftError, TooLargeError


class FileRows(Task):
    """Rows are the contents of files, or what a request carries raw."""

    file: ClassVar[str]
    """The name of the request's tensor of files."""
    raw: ClassVar[TensorSpec]
    """What a request may carry instead."""

    @classmethod
    @abstractmethod
    def read_file(cls, content: bytes) -> Any:
        """The content, decoded whole; InvalidInputError or TooLargeError says what is wrong."""

    @classmethod
    @abstractmethod
    def looked_at(cls, content: bytes) -> bytes:
        """The content as a row, with what its header told, so that nobody has to read that again.
        Raises the same errors as far as the header tells: a request is refused early."""

    @abstractmethod
    def raw_rows(self, values: Array) -> list[Any]:
        """Rows of the raw tensor; InvalidInputError or TooLargeError says what is wrong."""

    @classmethod
    def check(cls, value: Any) -> str | None:
        try:
            cls.read_file(value)
        except RegraftError as error:
            return str(error).removesuffix(".")
        return None

    def request_tensors(self) -> tuple[TensorSpec, ...]:
        return (TensorSpec(self.file, "BYTES", ("batch",)),)

    def request_alternatives(self) -> tuple[tuple[TensorSpec, ...], ...]:
        return (self.request_tensors(), (self.raw,))

    def rows(self, tensors: Arrays) -> list[Any]:
        if self.raw.name in tensors:
            return self.raw_rows(tensors[self.raw.name])
        return [self.checked(content) for content in tensors[self.file].reshape(-1)]

    @classmethod
    def checked(cls, content: bytes) -> bytes:
        """The content as a row, once its size and its header are looked at."""
        cls.check_size(content)
        return cls.looked_at(content)

    @classmethod
    def check_size(cls, content: bytes) -> None:
        if len(content) > cls.largest_file:
            raise TooLargeError(
                f"The file has {len(content):,} bytes; at most {cls.largest_file:,} are taken."
            )
