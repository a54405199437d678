"""Local files that a spec names, uploaded, and a local folder, named in full."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from regraft.client.connection import Connection
from regraft.client.following import persist
from regraft.client.packing import Packing
from regraft.domain import JSON, UPLOADED, AdaptationSpec
from regraft.errors import DataError, Problem
from regraft.reference import located

UPLOADS = "/v1/uploads"
PART = 32 * 2**20
"""Bytes of a part; a file of no more is sent at once."""


def with_uploads(spec: AdaptationSpec, connection: Connection) -> AdaptationSpec:
    """The spec with references in place of its local files, each of which is sent once; where rows
    are files of their own, these are sent within.

    Raises DataError before anything is sent if one of them is missing or cannot be read.
    """
    given: dict[str, str | None] = {**spec.references()}
    local = {name for name in given.values() if name and not name.startswith(UPLOADED)}
    task = _task(spec.task, connection) if local else None
    paths = {name: _checked(name, task is not None) for name in sorted(local)}
    with TemporaryDirectory() as scratch:
        if task is not None:
            packing = Packing.of(task, spec, paths.get(spec.data or spec.source_data or ""))
            given["input_column"] = packing.column
            paths = {
                name: packing.packed(
                    path, Path(scratch) / f"{number}.parquet", name != spec.unlabelled
                )
                for number, (name, path) in enumerate(paths.items())
            }
        references = {name: _upload(path, connection) for name, path in paths.items()}
    return spec.model_copy(
        update={field: references.get(name or "", name) for field, name in given.items()}
    )


def _task(name: str, connection: Connection) -> JSON | None:
    """The server's record of a task whose rows are files; None for any other."""
    items = connection.ask("GET", "/v1/tasks")["items"]
    return next((item for item in items if item["name"] == name and item["suffixes"]), None)


def with_located_source(spec: AdaptationSpec, connection: Connection) -> AdaptationSpec:
    """The spec with the full path of a source that is a file or folder here.

    The server, which runs in another directory, opens it there; a catalogue name goes first.
    """
    full = located(spec.source)
    if full == spec.source or _is_known_source(spec.source, connection):
        return spec
    return spec.model_copy(update={"source": full})


def _is_known_source(name: str, connection: Connection) -> bool:
    return any(item["name"] == name for item in connection.ask("GET", "/v1/sources")["items"])


def _checked(name: str, folders: bool) -> Path:
    try:
        path = Path(name).expanduser()
        if folders and path.is_dir():
            return path
        if path.is_file():
            path.open("rb").close()
            return path
        reason = "is a directory, not a file" if path.is_dir() else "does not exist"
    except RuntimeError as error:  # the home of an unknown user
        raise DataError(name, [Problem("missing-file", f"no such path: {error}")]) from error
    except OSError as error:
        reason = f"the file cannot be read: {error.strerror or error}"
        raise DataError(name, [Problem("unreadable-file", reason)]) from error
    raise DataError(name, [Problem("missing-file", f"{path} {reason}")])


def _upload(path: Path, connection: Connection) -> str:
    with path.open("rb") as file:
        if path.stat().st_size > PART:
            return _in_parts(path.name, file, connection)
        answer = connection.ask(
            "POST", "/v1/datasets", params={"filename": path.name}, content=file
        )
    return str(answer["reference"])


def _in_parts(name: str, file: IO[bytes], connection: Connection) -> str:
    """Part by part: of one whose answer does not come the server is asked how far it got."""
    begun = persist(lambda: connection.ask("POST", UPLOADS, params={"filename": name}))
    address = f"{UPLOADS}/{begun['id']}"

    def send() -> JSON:
        offset = connection.ask("GET", address)["offset"]
        file.seek(offset)
        part = file.read(PART)
        if not part:
            return {"offset": offset, "whole": True}
        return connection.ask("PATCH", address, params={"offset": offset}, content=part)

    while not persist(send).get("whole"):
        pass
    return str(persist(lambda: connection.ask("POST", f"{address}/complete"))["reference"])
