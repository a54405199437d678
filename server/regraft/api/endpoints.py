"""`/v1/endpoints`: which version of a model answers."""

from typing import Annotated, Any, TypeVar

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from regraft.adaptations.queries import listing
from regraft.adaptations.request import explain
from regraft.api.control_body import ControlBody, documented
from regraft.api.services import FromServices
from regraft.domain import JSON
from regraft.errors import InvalidInputError

router = APIRouter(prefix="/v1/endpoints", tags=["endpoints"])

Body = TypeVar("Body", bound=BaseModel)


class Promotion(BaseModel):
    """The version that shall answer; one whose verdict is negative only with `force`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: Annotated[int, Field(ge=1)]
    force: bool = False


class Rollback(BaseModel):
    """The version that shall no longer answer; where it does not, nothing changes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: Annotated[int, Field(ge=1, alias="from")]


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
    wanted = _parsed(Promotion, values)
    return services.registry.models.promote(name, wanted.version, wanted.force).as_dict()


@router.post(
    "/{name}/rollback", openapi_extra=documented(Rollback), response_description="The endpoint"
)
def roll_back(services: FromServices, name: str, values: ControlBody) -> JSON:
    """Let the version answer that did before `from`; repeating the request changes nothing more."""
    version = _parsed(Rollback, values).version
    return services.registry.models.roll_back(name, version).as_dict()


def _parsed(model: type[Body], values: Any) -> Body:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InvalidInputError(explain(error)) from error
