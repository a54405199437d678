"""Errors of ours as the protocol wants them over HTTP."""

from starlette.responses import Response

from regraft.errors import OverloadedError, RegraftError, UnauthorizedError
from regraft.identity.authenticator import CHALLENGE
from regraft.serving.call import status_of
from regraft.serving.protocol import error_body


def error_response(error: RegraftError) -> Response:
    headers = dict(CHALLENGE) if isinstance(error, UnauthorizedError) else {}
    if isinstance(error, OverloadedError):
        headers["Retry-After"] = str(error.retry_after)
    return Response(error_body(str(error)), status_of(error), headers, "application/json")
