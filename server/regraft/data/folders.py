"""A folder with a folder of files for each class, as a table."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from regraft.data.table import Table
from regraft.errors import DataError, Problem

FILE, LABEL = "path", "label"


def read_folder(source: str, path: Path, suffixes: Sequence[str], labelled: bool = True) -> Table:
    """Columns path (relative to `path`) and label (the first folder's name), ordered by path.

    Unless `labelled`, files may also lie in `path` itself.

    Hidden files and files of other kinds are passed over. Raises DataError (no-rows).
    """
    found = sorted(_files(path, suffixes, 2 if labelled else 1))
    if not found:
        raise DataError(source, [Problem("no-rows", _nothing(path, suffixes))])
    columns = {FILE: [str(file) for file in found], LABEL: [file.parts[0] for file in found]}
    return Table(source, (FILE, LABEL), len(found), columns.__getitem__, path)


def _files(path: Path, suffixes: Sequence[str], depth: int) -> Iterator[Path]:
    for file in path.rglob("*"):
        relative = file.relative_to(path)
        hidden = any(part.startswith(".") for part in relative.parts)
        fits = len(relative.parts) >= depth and file.suffix.lower() in suffixes
        if fits and not hidden and file.is_file():
            yield relative


def _nothing(path: Path, suffixes: Sequence[str]) -> str:
    kinds = ", ".join(suffixes)
    if any(file.suffix.lower() in suffixes for file in path.iterdir()):
        return f"the files lie in no folder of a class: put them at {path}/CLASS/"
    return f"no folder in {path} has a file of the kinds {kinds}; one folder a class is expected"
