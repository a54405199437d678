"""`/v1/endpoints`: which version of a model answers."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from regraft.adaptations.queries import listing
from regraft.adaptations.request import explain
from regraft.api.control_body import ControlBody, documented
from regraft.api.services import FromServices
from regraft.domain import JSON
from regraft.errors import InvalidInputError

router = APIRouter(prefix="/v1/endpoints", tags=["endpoints"])


class Promotion(BaseModel):
    """The version that shall answer."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: Annotated[int, Field(ge=1)]


@router.get("", response_description="All endpoints as `items`")
def list_endpoints(services: FromServices) -> JSON:
    """All endpoints."""
    return {"items": listing("endpoints", services.registry, services.plugins)}


@router.get("/{name}", response_description="The endpoint")
def show(services: FromServices, name: str) -> JSON:
    """One endpoint; `path` is where it answers."""
    return services.registry.models.endpoint(name).as_dict()


@router.post(
    "/{name}/promote", openapi_extra=documented(Promotion), response_description="The endpoint"
)
def promote(services: FromServices, name: str, values: ControlBody) -> JSON:
    """Let a version answer."""
    try:
        promotion = Promotion.model_validate(values)
    except ValidationError as error:
        raise InvalidInputError(explain(error)) from error
    return services.registry.models.promote(name, promotion.version).as_dict()


@router.post("/{name}/rollback", response_description="The endpoint")
def roll_back(services: FromServices, name: str) -> JSON:
    """Let the version answer that did before."""
    return services.registry.models.roll_back(name).as_dict()
