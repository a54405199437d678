"""The connection to a database."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from regraft.errors import InvalidInputError
from regraft.registry.schema import aware, connect


@pytest.mark.parametrize(
    "url",
    ["", "foo", "nosuch://host/db", "postgresql://secret:word@host:port/db", "sqlite:////proc/x/y"],
)
def test_url_of_no_database_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InvalidInputError, match=r"The database") as caught:
        connect(url)
    assert "word@" not in str(caught.value)


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("text " * 1000)
    with pytest.raises(InvalidInputError, match="cannot be used: file is not a database"):
        connect(f"sqlite:///{tmp_path / 'text.db'}")


def test_time_without_a_zone_is_utc_and_others_stay() -> None:
    naive, east = datetime(2026, 1, 1), timezone(timedelta(hours=2))
    assert aware(naive) == datetime(2026, 1, 1, tzinfo=UTC)
    assert aware(naive.replace(tzinfo=east)).tzinfo is east
