"""What a caller sends as a secret, and what the server knows of itself, is told to nobody."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event

from regraft.identity.scopes import Scope
from tests.api.routes import asked, filled

CANARY = "canary-5f1d"


@pytest.mark.parametrize("broken", [False, True], ids=["whole", "broken"])
def test_no_key_and_no_inside_is_in_an_answer_or_the_log(
    open_site: Callable[..., Any], log: io.StringIO, broken: bool
) -> None:
    """Of every route: as it is, and where everything it asks of the database raises what tells a
    path and a password."""
    site = filled(open_site(auth=True))
    routes = list(asked(site))
    key = site.key(Scope.ADMIN)
    secret = key.split("_", 2)[2]  # which may hold such signs, and begin with one

    def fail(*of_statement: Any) -> None:
        raise RuntimeError(f"/{CANARY}/regraft.db: password={CANARY} {key}")

    if broken:
        event.listen(site.registry.engine, "before_cursor_execute", fail)
    statuses = []
    for name, _, ask in routes:
        answer = ask(key)
        statuses.append(answer.status_code)
        told = f"{answer.text} {answer.headers}"
        assert secret not in told, name
        assert CANARY not in told, name
        assert str(site.registry.home.root) not in told, name
        assert "Error(" not in told, name
        assert "Traceback" not in told, name
    assert (statuses.count(500) > len(routes) / 2) is broken
    assert secret not in log.getvalue()
    assert f"password={CANARY}" not in log.getvalue()
    assert (f"/{CANARY}/" in log.getvalue()) is broken, "the log tells an operator what broke"
