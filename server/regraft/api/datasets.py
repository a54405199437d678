"""`/v1/datasets`: uploads."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from regraft.api.services import Services, Wanted, allowed, as_json
from regraft.domain import JSON
from regraft.errors import TooLargeError
from regraft.identity.scopes import Scope

router = APIRouter(prefix="/v1/datasets", tags=["data sets"])

ForReaders = Annotated[Services, allowed(Scope.DATASETS_READ)]
ForWriters = Annotated[Services, allowed(Scope.DATASETS_WRITE)]

BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}

Filename = Annotated[
    str, Query(min_length=1, max_length=255, description="Its suffix tells the format: `x.csv`.")
]


@router.post("", status_code=201, openapi_extra=BODY, response_description="The upload")
async def upload(services: ForWriters, request: Request, filename: Filename) -> JSON:
    """Store the body, a CSV, TSV, JSONL or Parquet file.

    The answer's `reference` is what an adaptation takes as `data`, `test` or `validation`.
    """
    limit = services.settings.max_upload
    _refuse_announced(request.headers.get("content-length", ""), limit)
    uploads = services.registry.uploads
    return (await uploads.receive(filename, request.stream(), limit)).as_dict()


@router.get("", response_description="Uploads as `items`, and the cursor of the `next` page")
def list_datasets(services: ForReaders, wanted: Wanted) -> JSON:
    """Uploaded data sets, the newest first."""
    return as_json(services.registry.uploads.page(wanted))


@router.get("/{identifier}", response_description="The upload")
def show(services: ForReaders, identifier: str) -> JSON:
    """One data set: its file's name, size and SHA-256."""
    return services.registry.uploads.get(identifier).as_dict()


@router.delete("/{identifier}", status_code=204)
def delete(services: ForWriters, identifier: str) -> None:
    """Delete a data set that no adaptation needs any more. What was learnt from it stays."""
    services.registry.uploads.delete(identifier)


def _refuse_announced(length: str, limit: int) -> None:
    """Refuse what is known to be too large before it is sent; the rest is counted as it comes."""
    if length.isascii() and length.isdigit() and int(length) > limit:
        raise TooLargeError(f"The data set is larger than {limit:,} bytes.")
