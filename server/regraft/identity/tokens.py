"""Tokens of an identity provider: OpenID Connect's JWTs (RFC 7519), signed by keys that it
publishes."""

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from regraft.errors import InvalidInputError, UnauthorizedError
from regraft.identity.caller import DEFAULT_PROJECT, Caller
from regraft.identity.scopes import Scope

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
"""None with a shared secret: a provider's public key would be one, to whoever asks for that."""
LEEWAY = 10
"""Seconds that clocks may differ."""
FETCH_SECONDS, FETCH_TIMEOUT = 60.0, 5.0
KNOWN = 1000
"""Tokens whose signature was checked and is not checked again."""
REFUSAL = "The token is not valid: not from here, not for here, expired or tampered with."
SCOPES = {str(scope): scope for scope in Scope}


@dataclass(frozen=True)
class Issuer:
    """Whose tokens are taken: its `iss`, the `aud` that they must have, and where its keys are, a
    URL or a file (JWKS). `project` names the claim that holds the project."""

    name: str
    audience: str
    keys: str
    project: str = "project"


def read_keys(place: str) -> KeySet:
    """The keys at a URL or in a file; InvalidInputError if they cannot be had."""
    try:
        if place.startswith(("http://", "https://")):
            text = httpx.get(place, timeout=FETCH_TIMEOUT).raise_for_status().text
        else:
            text = Path(place).read_text()
        return KeySet.import_key_set(json.loads(text))
    except (OSError, ValueError, KeyError, httpx.HTTPError, JoseError) as error:
        raise InvalidInputError(f"The keys at {place} cannot be read: {error}") from error


@dataclass
class TokenAuthenticator:
    """Bearers of an issuer's tokens. Keys are fetched when they are first needed, and again in the
    background, now and then, when a token names one that is not among them."""

    issuer: Issuer
    fetch: Callable[[str], KeySet] = read_keys
    now: Callable[[], float] = time.time
    keys: KeySet | None = None
    fetched: float = float("-inf")
    known: "OrderedDict[str, tuple[Caller, float]]" = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, token: str) -> Caller:
        """Who bears it; UnauthorizedError if it is not good."""
        with self.lock:
            found = self.known.get(token)
        if found is None:
            found = self._checked(token)
            with self.lock:
                self.known[token] = found
                while len(self.known) > KNOWN:
                    self.known.popitem(last=False)
        caller, expires = found
        if expires + LEEWAY <= self.now():
            raise UnauthorizedError(REFUSAL)
        return caller

    def _checked(self, token: str) -> tuple[Caller, float]:
        if self.keys is None:
            self._fetch()
        assert self.keys is not None
        try:
            claims = jwt.decode(token, self.keys, algorithms=list(ALGORITHMS)).claims
            self._rules().validate(claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            self._look_for_new_keys()
            raise UnauthorizedError(REFUSAL) from error
        return self._caller(claims), float(claims["exp"])

    def _rules(self) -> jwt.JWTClaimsRegistry:
        return jwt.JWTClaimsRegistry(
            now=lambda: int(self.now()),
            leeway=LEEWAY,
            iss={"essential": True, "value": self.issuer.name},
            aud={"essential": True, "value": self.issuer.audience},
            exp={"essential": True},
            sub={"essential": True},
        )

    def _caller(self, claims: dict[str, Any]) -> Caller:
        given = claims.get("scope", "")
        names = given.split() if isinstance(given, str) else given
        scopes = frozenset(SCOPES[name] for name in names if name in SCOPES)
        project = str(claims.get(self.issuer.project) or DEFAULT_PROJECT)
        return Caller(f"{self.issuer.name}#{claims['sub']}"[:255], project, scopes)

    def _look_for_new_keys(self) -> None:
        if self.now() - self.fetched > FETCH_SECONDS:
            self.fetched = self.now()
            threading.Thread(target=self._fetch, name="keys", daemon=True).start()

    def _fetch(self) -> None:
        self.fetched = self.now()
        self.keys = self.fetch(self.issuer.keys)
