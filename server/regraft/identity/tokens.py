"""Tokens of an identity provider: OpenID Connect's JWTs (RFC 7519), signed by keys that it
publishes."""

import json
import logging
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
from pydantic import TypeAdapter

from regraft.domain import Name
from regraft.errors import InvalidInputError, NotReadyError, UnauthorizedError
from regraft.identity.caller import DEFAULT_PROJECT, Caller
from regraft.identity.scopes import Scope

log = logging.getLogger("regraft.identity")

PROJECT: TypeAdapter[str] = TypeAdapter(Name)
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
"""None with a shared secret: a provider's public key would be one, to whoever asks for that."""
LEEWAY = 10
"""Seconds that clocks may differ."""
FETCH_SECONDS, FETCH_TIMEOUT = 60.0, 5.0
FIRST_SECONDS = 0.5
"""How long the first token waits for the keys: as long as a file or a near provider takes."""
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
    """Bearers of an issuer's tokens. Keys are fetched when they are first needed, and again, now
    and then, when a token is signed by none of them; always beside the requests, which may be
    anybody's and would wait for a provider that is away."""

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
            self._look_for_new_keys(FIRST_SECONDS)
        if self.keys is None:
            raise NotReadyError("The identity provider's keys cannot be had now.", retry_after=5)
        try:
            claims = jwt.decode(token, self.keys, algorithms=list(ALGORITHMS)).claims
            self._rules().validate(claims)
            return self._caller(claims), float(claims["exp"])
        except (JoseError, ValueError, TypeError, KeyError) as error:
            self._look_for_new_keys()
            raise UnauthorizedError(REFUSAL) from error

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
        """ValueError or TypeError if the claims are none that a caller can have."""
        given = claims.get("scope", "")
        names = given.split() if isinstance(given, str) else given
        scopes = frozenset(SCOPES[name] for name in names if name in SCOPES)
        project = PROJECT.validate_python(claims.get(self.issuer.project) or DEFAULT_PROJECT)
        return Caller(f"{self.issuer.name}#{claims['sub']}"[:255], project, scopes)

    def _look_for_new_keys(self, patience: float = 0.0) -> None:
        """Wait for them no longer than that."""
        with self.lock:
            if self.now() - self.fetched <= FETCH_SECONDS:
                return
            self.fetched = self.now()
        fetching = threading.Thread(target=self._fetch, name="keys", daemon=True)
        fetching.start()
        fetching.join(patience)

    def _fetch(self) -> None:
        try:
            self.keys = self.fetch(self.issuer.keys)
        except InvalidInputError as error:
            log.warning("%s", error)
