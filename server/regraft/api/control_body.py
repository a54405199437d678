"""The JSON bodies of control requests."""

from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from regraft.adaptations.request import explain
from regraft.errors import InvalidInputError, TooLargeError
from regraft.serving import strict_json

LIMIT = 2**20

Body = TypeVar("Body", bound=BaseModel)


async def _read(request: Request) -> Any:
    """The one JSON value of the body; its size is counted as it comes, whatever its headers say."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # A web page can send any other kind to a server on localhost without asking.
        raise HTTPException(415, "Send the body with 'Content-Type: application/json'.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LIMIT:
            raise TooLargeError(f"The JSON is larger than {LIMIT:,} bytes.")
    return strict_json.loads(bytes(body), LIMIT)


ControlBody = Annotated[Any, Depends(_read)]


def parsed(model: type[Body], values: Any) -> Body:
    """The body as this model; InvalidInputError says what is wrong with it."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InvalidInputError(explain(error)) from error


def documented(model: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says of a body that is read by `ControlBody`."""
    content = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}
