"""Local files that a spec names, uploaded."""

from pathlib import Path

from regraft.client.connection import Connection
from regraft.domain import AdaptationSpec
from regraft.errors import DataError, Problem

PREFIX = "dataset:"
FIELDS = ("data", "test", "validation")


def with_uploads(spec: AdaptationSpec, connection: Connection) -> AdaptationSpec:
    """The spec with references in place of its local files, each of which is sent once.

    Raises DataError before anything is sent if one of them is missing.
    """
    given = {field: getattr(spec, field) for field in FIELDS}
    local = {name for name in given.values() if name and not name.startswith(PREFIX)}
    for name in sorted(local):
        _check_file(name)
    references = {name: _upload(Path(name).expanduser(), connection) for name in sorted(local)}
    return spec.model_copy(
        update={field: references.get(name, name) for field, name in given.items()}
    )


def _check_file(name: str) -> None:
    path = Path(name).expanduser()
    if not path.is_file():
        reason = "is a directory, not a file" if path.is_dir() else "does not exist"
        raise DataError(name, [Problem("missing-file", f"{path} {reason}")])


def _upload(path: Path, connection: Connection) -> str:
    with path.open("rb") as file:
        answer = connection.ask(
            "POST", "/v1/datasets", params={"filename": path.name}, content=file
        )
    return str(answer["reference"])
