"""The tables of the database, and how a connection to it behaves."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    create_engine,
    event,
)
from sqlalchemy.exc import ArgumentError, DBAPIError

from regraft.errors import InvalidInputError
from regraft.identity.caller import DEFAULT_PROJECT
from regraft.registry.migrations import migrate

metadata = MetaData()


class UsersText(TypeDecorator[str]):
    """Text of a user's making. PostgreSQL keeps every character but NUL, which is replaced."""

    impl: Any = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else value.replace("\0", "\ufffd")


class UsersString(UsersText):
    """The same of a known length."""

    impl = String
    cache_ok = True


READS = "regraft_reads"

versions = Table(
    "versions",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("manifest", String(64), nullable=False),
    Column("manifest_size", Integer, nullable=False),
    Column("created", DateTime(timezone=True), nullable=False),
    Column("summary", JSON, nullable=False),
)

endpoints = Table(
    "endpoints",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("previous", Integer),
    Column("revision", Integer, nullable=False),
    Column("changed", DateTime(timezone=True), nullable=False),
)

revisions = Table(
    "revisions",
    metadata,
    Column("revision", Integer, primary_key=True),
    Column("name", String(63), nullable=False),
    Column("version", Integer, nullable=False),
    Column("action", String(16), nullable=False),
    Column("time", DateTime(timezone=True), nullable=False),
)

reasons = Table(
    "reasons",
    metadata,
    Column("revision", ForeignKey("revisions.revision"), primary_key=True),
    Column("reason", UsersText, nullable=False),
)

trials = Table(
    "trials",
    metadata,
    Column("name", ForeignKey("endpoints.name"), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("mode", String(16), nullable=False),
    Column("share", Float, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
)

placements = Table(
    "placements",
    metadata,
    Column("name", ForeignKey("endpoints.name"), primary_key=True),
    Column("wanted", JSON, nullable=False),
    Column("placed", Boolean, nullable=False, default=False),
    Column("waiting", UsersText),
)

predictions = Table(
    "predictions",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("endpoint", String(63), nullable=False),
    Column("request", UsersString(128), nullable=False),
    Column("row", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("label", UsersText, nullable=False),
    Column("score", Float),
    Column("time", DateTime(timezone=True), nullable=False),
    Index("predictions_of_requests", "endpoint", "request", "row"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("endpoint", String(63), primary_key=True),
    Column("request", UsersString(128), primary_key=True),
    Column("row", Integer, primary_key=True, autoincrement=False),
    Column("label", UsersText, nullable=False),
    Column("time", DateTime(timezone=True), nullable=False),
)

owners = Table(
    "owners",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("project", String(63), nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(63), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("project", String(63), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created", DateTime(timezone=True), nullable=False),
    Column("expires", DateTime(timezone=True)),
    Column("revoked", DateTime(timezone=True)),
)

audit = Table(
    "audit",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("time", DateTime(timezone=True), nullable=False),
    Column("caller", String(255), nullable=False),
    Column("project", String(63), nullable=False),
    Column("action", UsersString(255), nullable=False),
    Column("status", Integer, nullable=False),
)

adaptations = Table(
    "adaptations",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("project", String(63), nullable=False, server_default=DEFAULT_PROJECT),
    Column("spec", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("submitted", DateTime(timezone=True), nullable=False),
    Column("finished", DateTime(timezone=True)),
    Column("reason", UsersText),
    Column("result", JSON),
    Column("idempotency_key", String(255), unique=True),
    Column("cancel", Boolean, nullable=False, default=False),
    Column("on_server", Boolean, nullable=False, default=False),
    Column("interrupted", Integer, nullable=False, default=0, server_default="0"),
)

events = Table(
    "events",
    metadata,
    Column("adaptation", ForeignKey("adaptations.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("time", DateTime(timezone=True), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("data", JSON, nullable=False),
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("project", String(63), nullable=False, server_default=DEFAULT_PROJECT),
    Column("filename", UsersString(255), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger().with_variant(Integer, "sqlite"), nullable=False),
    Column("created", DateTime(timezone=True), nullable=False),
)


def connect(url: str) -> Engine:
    """An engine for this database, with its tables made; InvalidInputError if there is no way."""
    try:
        return _connect(url)
    except DBAPIError as error:
        raise InvalidInputError(f"The database cannot be used: {error.orig}.") from error
    except (ArgumentError, ImportError, OSError, ValueError) as error:
        raise InvalidInputError(
            f"The database URL is of no use: {error}. One such as sqlite:////folder/regraft.db "
            "or postgresql://user@host/name is expected."
        ) from error


def aware(moment: datetime) -> datetime:
    """SQLite forgets the zone; all our times are UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _connect(url: str) -> Engine:
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    # A server that was restarted is noticed before its connections are used.
    engine = create_engine(_with_driver(url), pool_pre_ping=not url.startswith("sqlite"))
    if engine.dialect.name == "sqlite":
        _make_sqlite_safe(engine)
    if engine.dialect.name == "postgresql":
        _let_writers_take_turns(engine)
    migrate(engine, reader(engine), metadata)
    return engine


def _with_driver(url: str) -> str:
    """The one of PostgreSQL's drivers that the extra `postgresql` installs."""
    kind, separator, rest = url.partition("://")
    return f"postgresql+psycopg{separator}{rest}" if kind == "postgresql" else url


def _let_writers_take_turns(engine: Engine) -> None:
    """As they do with SQLite, for the same promises: the next number is nobody else's, and the last
    table that is written is the newest."""

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        if not connection.get_execution_options().get(READS, False):
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7305911)")


def _make_sqlite_safe(engine: Engine) -> None:
    """Take the write lock when a transaction begins, and wait for it: SQLite would otherwise fail
    a transaction that turns from reading to writing. The journal stays a rollback journal, since
    the write-ahead log of the SQLite versions that Debian ships can lose pages."""

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA busy_timeout = 30000")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        reads = connection.get_execution_options().get(READS, False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def reader(engine: Engine) -> Engine:
    """The same engine for transactions that only read, and so need not wait for a writer's turn."""
    return engine.execution_options(**{READS: True})
