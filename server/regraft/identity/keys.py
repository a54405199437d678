"""API keys: 256 random bits under an id. Only a keyed hash of them is kept."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

PREFIX = "rgk"
FORM = re.compile(rf"{PREFIX}_([0-9a-f]{{12}})_([A-Za-z0-9_-]{{43}})")


@dataclass(frozen=True)
class ApiKey:
    """A key in its parts; `str` gives what its owner sends."""

    id: str
    secret: str

    @classmethod
    def new(cls) -> "ApiKey":
        return cls(secrets.token_hex(6), secrets.token_urlsafe(32))

    @classmethod
    def parse(cls, text: str) -> "ApiKey | None":
        found = FORM.fullmatch(text)
        return None if found is None else cls(*found.groups())

    def __str__(self) -> str:
        return f"{PREFIX}_{self.id}_{self.secret}"

    def digest(self, pepper: bytes) -> str:
        """HMAC-SHA-256 in hexadecimal: of no use without the pepper, which is in no database."""
        return hmac.new(pepper, self.secret.encode(), hashlib.sha256).hexdigest()
