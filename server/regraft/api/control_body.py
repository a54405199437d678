"""The JSON bodies of control requests."""

from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from regraft.errors import TooLargeError
from regraft.serving import strict_json

LIMIT = 2**20


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


def documented(model: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says of a body that is read by `ControlBody`."""
    content = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}
