"""A database of any age becomes one of today, with what was in it."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine

from regraft.errors import InvalidInputError
from regraft.registry import migrations
from regraft.registry.migrations import HEAD
from regraft.registry.schema import connect, metadata


def url(path: Path) -> str:
    return f"sqlite:///{path / 'regraft.db'}"


def differences(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))


def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    return ScriptDirectory.from_config(config)


def old(path: Path, rows: bool = True) -> None:
    """A database as it was before there were revisions."""
    from alembic.operations import Operations

    engine = create_engine(url(path))
    with engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        script = scripts().get_revision("0001")
        assert script is not None
        script.module.upgrade()
        if rows:
            connection.exec_driver_sql(
                "INSERT INTO versions VALUES ('reviews', 1, 'aa', 2, '2026-01-01', '{}')"
            )


def test_the_newest_revision_is_the_one_that_is_known() -> None:
    assert scripts().get_current_head() == HEAD


def test_a_new_database_is_as_the_tables_say(tmp_path: Path) -> None:
    assert differences(connect(url(tmp_path))) == []


def test_an_old_one_becomes_the_same_and_keeps_its_rows(tmp_path: Path) -> None:
    old(tmp_path)
    engine = connect(url(tmp_path))
    assert differences(engine) == []
    with engine.connect() as connection:
        owners = connection.exec_driver_sql("SELECT name, project FROM owners").all()
    assert list(map(tuple, owners)) == [("reviews", "default")]


def test_one_that_lacks_tables_gets_them(tmp_path: Path) -> None:
    old(tmp_path, rows=False)
    with create_engine(url(tmp_path)).begin() as connection:
        connection.exec_driver_sql("DROP TABLE feedback")
        connection.exec_driver_sql("DROP TABLE predictions")
    assert differences(connect(url(tmp_path))) == []


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    connect(url(tmp_path))
    before = (tmp_path / "regraft.db").read_bytes()
    connect(url(tmp_path))
    assert (tmp_path / "regraft.db").read_bytes() == before


def test_a_database_of_a_newer_regraft_is_left_alone(tmp_path: Path) -> None:
    with connect(url(tmp_path)).begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(InvalidInputError, match="made by another regraft"):
        connect(url(tmp_path))
