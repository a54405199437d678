"""From what a request bears to who asks."""

import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from regraft.errors import UnauthorizedError
from regraft.identity.caller import LOCAL, Caller
from regraft.identity.key_table import KeyTable
from regraft.identity.keys import ApiKey
from regraft.identity.pepper import pepper
from regraft.identity.tokens import Issuer, TokenAuthenticator

CHALLENGE = {"WWW-Authenticate": "Bearer"}
"""The header that goes with a refusal (RFC 6750)."""
NOBODY = ApiKey("0" * 12, "A" * 43)


class Authenticator(Protocol):
    """Who bears this `Authorization` header; UnauthorizedError if nobody known does."""

    def __call__(self, authorization: str | None) -> Caller: ...


def anybody(authorization: str | None) -> Caller:
    """Where no keys are asked for."""
    return LOCAL


@dataclass
class KeyAuthenticator:
    """Bearers of API keys."""

    table: KeyTable
    pepper: bytes
    now: Callable[[], float] = time.time

    def __call__(self, credentials: str) -> Caller:
        key = ApiKey.parse(credentials) or NOBODY
        row = self.table.get(key.id)
        known = row.digest if row else ""
        # One comparison whether or not there is such a key: its time tells nothing.
        same = hmac.compare_digest(key.digest(self.pepper), known)
        if not same or row is None or row.expired(self.now()):
            raise UnauthorizedError("The API key is not valid: unknown, expired or revoked.")
        return row.caller


@dataclass
class Bearers:
    """Bearers of API keys, and of an identity provider's tokens where there is one."""

    keys: KeyAuthenticator
    tokens: TokenAuthenticator | None = None

    def __call__(self, authorization: str | None) -> Caller:
        credentials = bearer(authorization)
        if self.tokens is not None and credentials.count(".") == 2:
            return self.tokens(credentials)
        return self.keys(credentials)


def bearers(keys: Path, secret: Path, issuer: Issuer | None = None) -> Bearers:
    """Of those who bear the keys in one file, whose hashes are keyed with the other, or a token of
    the issuer."""
    tokens = None if issuer is None else TokenAuthenticator(issuer)
    return Bearers(KeyAuthenticator(KeyTable(keys), pepper(secret)), tokens)


def bearer(authorization: str | None) -> str:
    """The credentials of the header; UnauthorizedError if there are none."""
    kind, _, credentials = (authorization or "").partition(" ")
    if kind.lower() != "bearer" or not credentials:
        raise UnauthorizedError("Send an API key: the header 'Authorization: Bearer rgk_…'.")
    return credentials.strip()
