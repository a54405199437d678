"""A database of any age gets the tables of today (Alembic)."""

from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, MetaData, column, inspect, select, table
from sqlalchemy.exc import DBAPIError

from regraft.errors import InvalidInputError

HEAD: Final = "0003"
"""The newest of the revisions in `versions`; a test holds it to them."""


def migrate(engine: Engine, reading: Engine, tables: MetaData) -> None:
    """Do what is left to do: nothing, as a rule, which takes one query.

    InvalidInputError where a newer regraft made the database.
    """
    if _revision(reading) == HEAD:
        return
    with engine.begin() as connection:
        # The writer's turn is ours; somebody else may have done it meanwhile, which is seen.
        if inspect(connection).get_table_names():
            upgrade(connection)
        else:
            tables.create_all(connection)
            _config(connection, "stamp")


def upgrade(connection: Connection) -> None:
    """Every revision that is missing, in order."""
    _config(connection, "upgrade")


def _revision(engine: Engine) -> str | None:
    query: Any = select(column("version_num")).select_from(table("alembic_version"))
    try:
        with engine.connect() as connection:
            found: str | None = connection.scalar(query)
            return found
    except DBAPIError:
        return None


def _config(connection: Connection, command: str) -> None:
    from alembic import command as commands
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    run: Any = getattr(commands, command)
    try:
        run(config, HEAD)
    except CommandError as error:
        raise InvalidInputError(
            f"The database was made by another regraft: {error} Update this one."
        ) from error
