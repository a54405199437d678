"""Tokens of an identity provider: the good one, and all that pretend to be one."""

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from regraft.errors import InvalidInputError, NotReadyError, UnauthorizedError
from regraft.identity.issuer import issuer_of
from regraft.identity.scopes import Scope
from regraft.identity.tokens import FETCH_SECONDS, KNOWN, Issuer, TokenAuthenticator, read_keys
from regraft.settings import Settings

NOW = 1_800_000_000
ISSUER = Issuer("https://id.example", "regraft", "keys.json")
KEY = RSAKey.generate_key(2048, parameters={"kid": "one"})
OTHER = RSAKey.generate_key(2048, parameters={"kid": "one"})
CLAIMS = {
    "iss": ISSUER.name,
    "aud": "regraft",
    "sub": "anna",
    "exp": NOW + 600,
    "scope": "openid predict models:read nonsense",
    "project": "vision",
}


class Clock:
    now = float(NOW)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def published(*keys: Any) -> KeySet:
    return KeySet.import_key_set({"keys": [key.as_dict(private=False) for key in keys]})


def signed(key: Any = KEY, algorithm: str = "RS256", kid: str = "one", **changes: Any) -> str:
    claims = {name: v for name, v in {**CLAIMS, **changes}.items() if v is not None}
    return jwt.encode({"alg": algorithm, "kid": kid}, claims, key, algorithms=[algorithm])


@pytest.fixture
def authenticate(clock: Clock) -> TokenAuthenticator:
    return TokenAuthenticator(ISSUER, lambda place: published(KEY), clock)


def test_a_good_token_says_who_bears_it_and_what_for(authenticate: TokenAuthenticator) -> None:
    caller = authenticate(signed())
    assert (caller.id, caller.project) == ("https://id.example#anna", "vision")
    assert caller.scopes == {Scope.PREDICT, Scope.MODELS_READ}


def test_scopes_may_be_a_list_and_a_project_is_the_default_one(
    authenticate: TokenAuthenticator,
) -> None:
    caller = authenticate(signed(scope=["predict"], project=None, aud=["x", "regraft"]))
    assert (caller.project, caller.scopes) == ("default", {Scope.PREDICT})


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def unsigned() -> str:
    return f"{part({'alg': 'none', 'kid': 'one'})}.{part(CLAIMS)}."


def with_public_key_as_secret() -> str:
    secret = OctKey.import_key(part(KEY.as_dict(private=False)))
    return jwt.encode({"alg": "HS256", "kid": "one"}, CLAIMS, secret, algorithms=["HS256"])


def of_other_claims() -> str:
    head, _, signature = signed().split(".")
    return ".".join([head, part({**CLAIMS, "scope": "admin"}), signature])


def with_own_key() -> str:
    head = {"alg": "RS256", "jwk": OTHER.as_dict(private=False), "kid": "one"}
    return jwt.encode(head, CLAIMS, OTHER, algorithms=["RS256"])


def from_elsewhere() -> str:
    head = {"alg": "RS256", "jku": "https://evil.example/keys", "kid": "one"}
    return jwt.encode(head, CLAIMS, OTHER, algorithms=["RS256"])


FORGED: dict[str, Callable[[], str]] = {
    "of another key": lambda: signed(OTHER),
    "of another issuer": lambda: signed(iss="https://evil.example"),
    "of no issuer": lambda: signed(iss=None),
    "for another audience": lambda: signed(aud="other"),
    "for no audience": lambda: signed(aud=None),
    "expired": lambda: signed(exp=NOW - 60),
    "without an end": lambda: signed(exp=None),
    "not good yet": lambda: signed(nbf=NOW + 600),
    "of nobody": lambda: signed(sub=None),
    "not signed": unsigned,
    "signed with the public key as a secret": with_public_key_as_secret,
    "of other claims": of_other_claims,
    "with a key of its own": with_own_key,
    "with keys from elsewhere": from_elsewhere,
    "of a key that is not known": lambda: signed(kid="two"),
    "of an algorithm that is not taken": lambda: signed(
        ECKey.generate_key("P-521", parameters={"kid": "one"}), "ES512"
    ),
    "without its signature": lambda: signed().rpartition(".")[0] + ".",
    "of a project that none can be": lambda: signed(project="../x"),
    "of scopes that are none": lambda: signed(scope=[["predict"]]),
    "no token": lambda: "a.b.c",
    "no text": lambda: "\ud800.\x00.é",
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_token_is_refused(authenticate: TokenAuthenticator, name: str) -> None:
    with pytest.raises(UnauthorizedError, match="The token is not valid"):
        authenticate(FORGED[name]())


def test_a_token_that_was_good_is_refused_once_it_has_expired(
    authenticate: TokenAuthenticator, clock: Clock
) -> None:
    token = signed()
    authenticate(token)
    clock.now += 700
    with pytest.raises(UnauthorizedError):
        authenticate(token)


def test_no_more_tokens_are_remembered_than_that(authenticate: TokenAuthenticator) -> None:
    caller = authenticate(signed())
    authenticate.known.update({str(number): (caller, 0.0) for number in range(KNOWN)})
    authenticate(signed(sub="berta"))
    assert len(authenticate.known) == KNOWN


def test_new_keys_are_looked_for_now_and_then(clock: Clock) -> None:
    new = RSAKey.generate_key(2048, parameters={"kid": "two"})
    token, fetched = signed(new, kid="two"), [published(KEY)]
    authenticate = TokenAuthenticator(ISSUER, lambda place: fetched[-1], clock)
    authenticate(signed())
    fetched.append(published(KEY, new))
    for seconds in (0, FETCH_SECONDS + 1):
        clock.now += seconds
        with pytest.raises(UnauthorizedError):
            authenticate(token)
    end = time.monotonic() + 5
    while authenticate.keys is not fetched[-1] and time.monotonic() < end:
        time.sleep(0.01)
    assert authenticate(token).project == "vision"


def test_a_provider_that_is_away_is_asked_now_and_then_and_nobody_waits_for_it(
    clock: Clock,
) -> None:
    asked: list[str] = []

    def away(place: str) -> KeySet:
        asked.append(place)
        raise InvalidInputError("no route")

    authenticate = TokenAuthenticator(ISSUER, away, clock)
    for _ in range(5):
        with pytest.raises(NotReadyError, match="cannot be had now"):
            authenticate(signed())
    assert asked == [ISSUER.keys]


def test_keys_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [KEY.as_dict(private=False)]}))
    assert len(read_keys(str(path)).keys) == 1
    for place in (tmp_path / "none", "http://127.0.0.1:9/keys"):
        with pytest.raises(InvalidInputError, match="cannot be read"):
            read_keys(str(place))


def test_settings_name_a_whole_provider_or_none() -> None:
    assert issuer_of(Settings()) is None
    whole = {"oidc_issuer": "i", "oidc_audience": "a", "oidc_keys": "k"}
    assert issuer_of(Settings(auth=True, **whole)) == Issuer("i", "a", "k")
    with pytest.raises(InvalidInputError, match="all three"):
        issuer_of(Settings(auth=True, oidc_issuer="i"))
    with pytest.raises(InvalidInputError, match="REGRAFT_AUTH=true"):
        issuer_of(Settings(**whole))
