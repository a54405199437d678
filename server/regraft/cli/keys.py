"""`regraft keys` and `regraft login`: who may ask a server."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import click
from pydantic import ValidationError

from regraft.adaptations.request import explain
from regraft.cli.options import common, settings_from
from regraft.cli.output import print_json, print_rows, stderr, stdout
from regraft.client import Client
from regraft.client.credentials import save_key
from regraft.domain import JSON
from regraft.errors import InvalidInputError
from regraft.identity.caller import DEFAULT_PROJECT
from regraft.identity.new_key import NewKey
from regraft.identity.scopes import Scope
from regraft.registry.store import Registry
from regraft.settings import Settings

COLUMNS = {
    "id": "KEY",
    "name": "NAME",
    "project": "PROJECT",
    "scopes": "SCOPES",
    "created": "CREATED",
    "expires": "EXPIRES",
    "revoked": "REVOKED",
}


class Keys(Protocol):
    """The keys of a home, or of a server."""

    def create(self, wanted: NewKey) -> JSON: ...
    def all(self) -> list[JSON]: ...
    def revoke(self, identifier: str) -> JSON: ...


class RemoteKeys:
    """Those of a server, whose client must have the scope `admin`."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def create(self, wanted: NewKey) -> JSON:
        return self.client.create_key(wanted.model_dump(mode="json"))

    def all(self) -> list[JSON]:
        return self.client.listing("keys")

    def revoke(self, identifier: str) -> JSON:
        return self.client.revoke_key(identifier)


@contextmanager
def opened(settings: Settings) -> Iterator[Keys]:
    """Whoever owns the files of a home needs no key to make one, also while a server runs on it."""
    if settings.url is None:
        yield Registry.of(settings).keys
        return
    with Client(settings.url) as client:
        yield RemoteKeys(client)


@click.group()
def keys() -> None:
    """API keys of the home on this machine, or with --url of a server."""


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice([str(scope) for scope in Scope]),
    help="What it is for; may be given several times.",
)
@click.option("--project", default=DEFAULT_PROJECT, help="Whose it is [default].")
@click.option("--days", type=float, help="For how long [until it is revoked].")
@common
def create(as_json: bool, home: str | None, url: str | None, **given: Any) -> None:
    """Make a key and print it: it is told this once."""
    try:
        wanted = NewKey.model_validate(given)
    except ValidationError as error:
        raise InvalidInputError(explain(error)) from error
    with opened(settings_from(home=home, url=url)) as known:
        made = known.create(wanted)
    if as_json:
        print_json(made)
        return
    stdout().print(made["key"], soft_wrap=True)
    stderr().print(f"It is not told again. To end it: regraft keys revoke {made['id']}")


@keys.command("list")
@common
def list_keys(as_json: bool, **given: str | None) -> None:
    """All keys, also those that were revoked."""
    with opened(settings_from(**given)) as known:
        rows = known.all()
    if as_json:
        print_json(rows)
        return
    print_rows(rows, COLUMNS, "There are no keys yet: regraft keys create NAME --scope SCOPE")


@keys.command()
@click.argument("key")
@common
def revoke(key: str, as_json: bool, **given: str | None) -> None:
    """End the key with this id for good."""
    with opened(settings_from(**given)) as known:
        row = known.revoke(key)
    if as_json:
        print_json(row)
        return
    stderr().print(f"{key} lets nobody in any more.")


@click.command()
@click.option("--url", envvar="REGRAFT_URL", required=True, help="The server.")
@click.option("--key", prompt="API key", hide_input=True, help="Asked for unless it is given.")
def login(url: str, key: str) -> None:
    """Keep an API key for a server, in a file that none but you reads."""
    with Client(url, key=key.strip()) as client:
        me = client.me()
    path = save_key(url, key.strip())
    scopes = ", ".join(me["scopes"])
    stderr().print(
        f"{me['id']}, project {me['project']}, may: {scopes}. Kept in {path}.", soft_wrap=True
    )
