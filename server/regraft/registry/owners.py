"""Which project owns a name: of a model, and of the endpoint that bears it."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, true
from sqlalchemy.exc import IntegrityError

from regraft.errors import ConflictError, UnknownNameError
from regraft.identity.caller import View
from regraft.registry.schema import owners


def claim(connection: Connection, name: str, view: View) -> str:
    """The project that owns the name: this one from now on, if none did.

    ConflictError if it is another's, which is not seen.
    """
    try:
        with connection.begin_nested():
            connection.execute(insert(owners).values(name=name, project=view.project))
    except IntegrityError:
        owner = owner_of(connection, name)
        if owner is None or not view.sees(owner):
            raise ConflictError(f"The name '{name}' is taken. Choose another.") from None
        return owner
    return view.project


def owner_of(connection: Connection, name: str) -> str | None:
    found: str | None = connection.scalar(select(owners.c.project).where(owners.c.name == name))
    return found


def check_seen(connection: Connection, kind: str, name: str, view: View) -> None:
    """UnknownNameError, with those that are seen, if the name is another project's."""
    if view.everywhere or owner_of(connection, name) == view.project:
        return
    query = select(owners.c.name).where(owners.c.project == view.project)
    raise UnknownNameError(kind, name, connection.scalars(query).all())


def seen(view: View, name: Any) -> ColumnElement[bool]:
    """What a query asks of a column of names, so that it finds those that are seen."""
    if view.everywhere:
        return true()
    owned: ColumnElement[bool] = name.in_(
        select(owners.c.name).where(owners.c.project == view.project)
    )
    return owned
