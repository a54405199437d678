"""Who may ask a replica: checked before anything of a request is read, without a database."""

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from regraft.errors import RegraftError
from regraft.identity import scopes
from regraft.identity.authenticator import Authenticator
from regraft.identity.caller import LOCAL, Caller
from regraft.serving.asked import refused

PUBLIC = ("/health/live", "/health/ready")
CALLER = "regraft.caller"


class Gate:
    """The application for those whom `authenticate` knows and who may predict; all may ask for its
    health."""

    def __init__(self, app: ASGIApp, authenticate: Authenticator) -> None:
        self.app = app
        self.authenticate = authenticate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].removeprefix("/v2") not in PUBLIC:
            try:
                authorization = Headers(scope=scope).get("authorization")
                scope = {**scope, CALLER: admitted(self.authenticate, authorization)}
            except RegraftError as error:
                await refused(error).response()(scope, receive, send)
                return
        await self.app(scope, receive, send)


def admitted(authenticate: Authenticator, authorization: str | None) -> Caller:
    """Who bears this header and may predict."""
    caller = authenticate(authorization)
    caller.require(scopes.Scope.PREDICT)
    return caller


def caller_of(request: Request) -> Caller:
    found: Caller = request.scope.get(CALLER, LOCAL)
    return found
