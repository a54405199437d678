"""The rows of endpoints: what one transaction reads of them and changes in them."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, tuple_, union, update

from regraft.domain import Endpoint, Placement, Trial
from regraft.errors import ChangedError, ConflictError, UnknownNameError
from regraft.identity.caller import DEFAULT_PROJECT, EVERYTHING, View
from regraft.registry import schema
from regraft.registry.endpoint_table import Before, EndpointTable, Route, Tried
from regraft.registry.owners import seen
from regraft.registry.paging import WHOLE, Order, Page, Window


def endpoint_row(connection: Connection, name: str) -> "Row[Any]":
    """UnknownNameError, with those that there are, if there is no such endpoint."""
    query = select(schema.endpoints).where(schema.endpoints.c.name == name)
    row = connection.execute(query).first()
    if row is None:
        known = connection.scalars(select(schema.endpoints.c.name)).all()
        raise UnknownNameError("endpoint", name, known)
    return row


def read_endpoint(connection: Connection, name: str) -> Endpoint:
    row = endpoint_row(connection, name)
    return _endpoint(row, trials(connection).get(name), placements(connection).get(name))


def etag(endpoint: Endpoint) -> str:
    """Two are alike whose endpoints are; how far its own replicas are is not told by it."""
    trial = endpoint.trial and endpoint.trial.as_dict()
    chosen = [endpoint.version, endpoint.previous, trial, endpoint.placement.model_dump()]
    content = json.dumps(chosen, sort_keys=True).encode()
    return f'"{hashlib.sha256(content).hexdigest()[:16]}"'


def check_match(connection: Connection, name: str, wanted: str | None) -> None:
    """ChangedError if the endpoint has none of the tags `wanted`, an `If-Match` header's value."""
    if wanted is None or wanted.strip() == "*":
        return
    if etag(read_endpoint(connection, name)) not in (tag.strip() for tag in wanted.split(",")):
        raise ChangedError(f"The endpoint '{name}' has changed since: read it again, then decide.")


def read_endpoints(
    connection: Connection, view: View = EVERYTHING, window: Window = WHOLE
) -> Page[Endpoint]:
    """Those that are seen, by name."""
    tried, placed = trials(connection), placements(connection)
    name = schema.endpoints.c.name
    return Order((name,)).page(
        connection,
        select(schema.endpoints).where(seen(view, name)),
        window,
        lambda row: _endpoint(row, tried.get(row.name), placed.get(row.name)),
    )


def trials(connection: Connection) -> dict[str, Trial]:
    return {
        row.name: Trial(row.version, row.mode, row.share, schema.aware(row.since))
        for row in connection.execute(select(schema.trials))
    }


def placements(connection: Connection) -> "dict[str, Row[Any]]":
    return {row.name: row for row in connection.execute(select(schema.placements))}


def _endpoint(row: "Row[Any]", trial: Trial | None, place: "Row[Any] | None") -> Endpoint:
    more: dict[str, Any] = {"trial": trial}
    if place is not None:
        wanted = Placement.model_validate(place.wanted)
        more |= {"placement": wanted, "placed": place.placed, "waiting": place.waiting}
    changed = schema.aware(row.changed)
    return Endpoint(row.name, row.version, row.previous, row.revision, changed, **more)


def check_version(connection: Connection, name: str, version: int, view: View) -> None:
    """UnknownNameError, with those that are seen, if there is no such model or version."""
    columns = schema.versions.c
    known = connection.scalars(select(columns.version).where(columns.name == name)).all()
    if not known:
        names = select(columns.name).where(seen(view, columns.name)).distinct()
        raise UnknownNameError("model", name, connection.scalars(names).all())
    if version not in known:
        raise UnknownNameError("version", str(version), map(str, known), name)


def check_verdict(connection: Connection, name: str, version: int) -> None:
    """ConflictError if the version's verdict is negative."""
    columns = schema.versions.c
    query = select(columns.summary).where(columns.name == name, columns.version == version)
    if (connection.scalar(query) or {}).get("verdict") == "negative":
        raise ConflictError(
            f"Transfer made version {version} of '{name}' worse than a baseline: its verdict is "
            "negative, so that the endpoint stays. To move it nevertheless, promote with force."
        )


def record(
    connection: Connection, name: str, version: int, action: str, reason: str | None = None
) -> int:
    """A change in the endpoint's history; its revision."""
    made = connection.execute(
        insert(schema.revisions).values(
            name=name, version=version, action=action, time=datetime.now(UTC)
        )
    )
    (revision,) = made.inserted_primary_key or (0,)
    if reason is not None:
        connection.execute(insert(schema.reasons).values(revision=revision, reason=reason))
    return int(revision)


def move(
    connection: Connection, name: str, version: int, action: str, reason: str | None = None
) -> EndpointTable:
    """Let this version answer, which ends any trial."""
    end_trial(connection, name)
    revision = record(connection, name, version, action, reason)
    change = {"version": version, "revision": revision, "changed": datetime.now(UTC)}
    query = select(schema.endpoints).where(schema.endpoints.c.name == name)
    current = connection.execute(query).first()
    if current is None:
        connection.execute(insert(schema.endpoints).values(name=name, **change))
    elif current.version != version:
        connection.execute(
            update(schema.endpoints)
            .where(schema.endpoints.c.name == name)
            .values(previous=current.version, **change)
        )
    return current_table(connection)


def end_trial(connection: Connection, name: str) -> None:
    connection.execute(delete(schema.trials).where(schema.trials.c.name == name))


def current_table(connection: Connection) -> EndpointTable:
    """What replicas are to serve, as of this transaction."""
    revision = connection.scalar(select(func.max(schema.revisions.c.revision)))
    columns, endpoints, tried = schema.versions.c, schema.endpoints.c, schema.trials.c
    wanted = union(
        select(endpoints.name, endpoints.version),
        select(endpoints.name, endpoints.previous),
        select(tried.name, tried.version),
    )
    query = select(columns.name, columns.version, columns.manifest)
    rows = connection.execute(query.where(tuple_(columns.name, columns.version).in_(wanted)))
    manifests = {(row.name, row.version): row.manifest for row in rows}
    owners = {row.name: row.project for row in connection.execute(select(schema.owners))}
    routes = []
    for one in read_endpoints(connection).items:
        beside = None
        if one.trial is not None:
            manifest = manifests[one.name, one.trial.version]
            beside = Tried(one.trial.version, manifest, one.trial.mode, one.trial.share)
        last = manifests.get((one.name, one.previous))
        before = Before(one.previous, last) if one.previous and last else None
        own = (beside, one.placed, owners.get(one.name, DEFAULT_PROJECT), before)
        routes.append(Route(one.name, one.version, manifests[one.name, one.version], *own))
    return EndpointTable(revision or 0, tuple(routes))
