"""`/v1/uploads`: data sets that come in parts, over connections that break."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from regraft.api.datasets import BODY, Filename, ForWriters
from regraft.domain import JSON

router = APIRouter(prefix="/v1/uploads", tags=["data sets"])

Offset = Annotated[
    int, Query(ge=0, lt=2**63, description="Where the part begins, in bytes: the `offset` so far.")
]


@router.post("", status_code=201, response_description="Its `id`, and its `offset`, which is 0")
def begin(services: ForWriters, filename: Filename) -> JSON:
    """Begin an upload in parts. What has come is kept for a day after the last part."""
    return services.registry.partial_uploads.begin(filename)


@router.get("/{identifier}", response_description="The `offset` at which the next part begins")
def show(services: ForWriters, identifier: str) -> JSON:
    """How far an upload is: ask this after a connection broke."""
    return services.registry.partial_uploads.state(identifier)


@router.patch("/{identifier}", openapi_extra=BODY, response_description="The new `offset`")
async def append(services: ForWriters, request: Request, identifier: str, offset: Offset) -> JSON:
    """Send the next part, of any size. Of one that breaks off what has come stays."""
    limit = services.settings.max_upload
    parts = services.registry.partial_uploads
    return await parts.append(identifier, offset, request.stream(), limit)


@router.post("/{identifier}/complete", status_code=201, response_description="The data set")
def complete(services: ForWriters, identifier: str) -> JSON:
    """All parts have come: it is a data set now, as one that was sent at once."""
    return services.registry.partial_uploads.complete(identifier).as_dict()


@router.delete("/{identifier}", status_code=204)
def delete(services: ForWriters, identifier: str) -> None:
    """Give up an upload that is not complete."""
    services.registry.partial_uploads.delete(identifier)
