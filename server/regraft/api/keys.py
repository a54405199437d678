"""`/v1/keys`: who may do what."""

from fastapi import APIRouter

from regraft.api.control_body import ControlBody, documented, parsed
from regraft.api.services import ForAdmins
from regraft.domain import JSON
from regraft.identity.new_key import NewKey

router = APIRouter(prefix="/v1/keys", tags=["keys"])


@router.post(
    "",
    status_code=201,
    openapi_extra=documented(NewKey),
    response_description="The record, with the `key` itself, which is never told again",
)
def create(services: ForAdmins, values: ControlBody) -> JSON:
    """Make an API key."""
    return services.registry.keys.create(parsed(NewKey, values))


@router.get("", response_description="The keys as `items`")
def list_keys(services: ForAdmins) -> JSON:
    """All keys, also those that were revoked, without what their owners send."""
    return {"items": services.registry.keys.all()}


@router.delete("/{identifier}", response_description="The record")
def revoke(services: ForAdmins, identifier: str) -> JSON:
    """End a key for good; within seconds nothing lets its bearer in."""
    return services.registry.keys.revoke(identifier)
