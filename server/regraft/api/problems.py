"""Every failure as a problem document (RFC 9457)."""

import logging
import secrets
from collections.abc import Mapping
from functools import singledispatch
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from regraft.api.rendering import StandardJSON
from regraft.errors import DataError, OverloadedError, RegraftError, UnauthorizedError
from regraft.identity.authenticator import CHALLENGE

log = logging.getLogger("regraft.api")

MEDIA_TYPE = "application/problem+json"

RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem: what was wrong, and what would be right.",
        "content": {
            MEDIA_TYPE: {
                "schema": {
                    "type": "object",
                    "required": ["type", "title", "status", "detail"],
                    "properties": {
                        "type": {"type": "string"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string"},
                        "problems": {"type": "array", "items": {"type": "object"}},
                    },
                }
            }
        },
    }
}


KINDS = (
    RegraftError,
    RequestValidationError,
    HTTPException,
    ClientDisconnect,
    OperationalError,
    Exception,
)
"""Of failures that are answered here."""
DATABASE_SECONDS = 5
"""When to come back to a server whose database does not answer."""


class ProblemResponse(StandardJSON):
    """The answer to a request that failed."""

    media_type = MEDIA_TYPE

    def __init__(
        self, status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        document = {"type": "about:blank", "title": _title(status), "status": status}
        super().__init__({**document, "detail": detail, **more}, status, headers)


def add_problem_handlers(app: FastAPI) -> None:
    """Let this app answer every failure with a problem document."""
    for kind in KINDS:
        app.add_exception_handler(kind, _answer)


async def _answer(_: Request, error: Exception) -> ProblemResponse:
    return problem(error)


@singledispatch
def problem(error: Exception) -> ProblemResponse:
    """The answer to this error; one that nobody foresaw is logged under an id and not told."""
    identifier = secrets.token_hex(6)
    log.error("unexpected error %s", identifier, exc_info=error)
    return ProblemResponse(
        500, f"An internal error. The log of the server tells more under {identifier}."
    )


@problem.register
def _(error: RegraftError) -> ProblemResponse:
    headers = dict(CHALLENGE) if isinstance(error, UnauthorizedError) else {}
    if isinstance(error, OverloadedError):
        headers["retry-after"] = str(error.retry_after)
    more = {"problems": error.as_dicts()} if isinstance(error, DataError) else {}
    return ProblemResponse(error.status, str(error), headers, **more)


@problem.register
def _(error: OperationalError) -> ProblemResponse:
    """The database is away, or full; predictions do not need it."""
    log.error("the database does not answer: %s", error.orig)
    headers = {"retry-after": str(DATABASE_SECONDS)}
    return ProblemResponse(503, "The database does not answer. Try again.", headers)


@problem.register
def _(error: RequestValidationError) -> ProblemResponse:
    # Field and reason only: the input is not repeated, since it may be anything.
    reasons = (f"{_place(detail['loc'])}: {detail['msg']}." for detail in error.errors())
    return ProblemResponse(422, " ".join(reasons))


@problem.register
def _(error: HTTPException) -> ProblemResponse:
    return ProblemResponse(error.status_code, error.detail, error.headers)


@problem.register
def _(error: ClientDisconnect) -> ProblemResponse:
    """Nobody reads this; it keeps a broken upload from being logged as our failure."""
    return ProblemResponse(400, "The client went away before its request was complete.")


def _place(location: tuple[int | str, ...]) -> str:
    return " ".join(map(str, location))


def _title(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"
