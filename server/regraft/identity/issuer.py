"""The identity provider that the settings name."""

from regraft.errors import InvalidInputError
from regraft.identity.tokens import Issuer
from regraft.settings import Settings


def issuer_of(settings: Settings) -> Issuer | None:
    """None without one; InvalidInputError if what is known of it is not enough."""
    given = (settings.oidc_issuer, settings.oidc_audience, settings.oidc_keys)
    if given == (None, None, None):
        return None
    name, audience, keys = given
    if name is None or audience is None or keys is None:
        raise InvalidInputError(
            "An identity provider needs REGRAFT_OIDC_ISSUER, REGRAFT_OIDC_AUDIENCE and "
            "REGRAFT_OIDC_KEYS, all three."
        )
    if not settings.auth:
        raise InvalidInputError("REGRAFT_OIDC_ISSUER is of no use without REGRAFT_AUTH=true.")
    return Issuer(name, audience, keys)
