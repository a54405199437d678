"""`/v1/endpoints`: which version of a model answers."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Response
from pydantic import BaseModel, ConfigDict, Field

from regraft.adaptations.live import describe_live
from regraft.api.control_body import ControlBody, documented, parsed
from regraft.api.services import Services, Wanted, allowed, as_json
from regraft.domain import JSON, Endpoint, Mode, Number, Placement
from regraft.identity.scopes import Scope
from regraft.registry.endpoint_rows import etag
from regraft.registry.feedback import TrueLabel

router = APIRouter(prefix="/v1/endpoints", tags=["endpoints"])

ForReaders = Annotated[Services, allowed(Scope.MODELS_READ)]
ForPromoters = Annotated[Services, allowed(Scope.MODELS_PROMOTE)]
ForDeleters = Annotated[Services, allowed(Scope.MODELS_DELETE)]
ForPredictors = Annotated[Services, allowed(Scope.PREDICT)]

IfMatch = Annotated[
    str | None,
    Header(
        max_length=500,
        description="Change the endpoint only if its `ETag` is still this one; 412 otherwise.",
    ),
]


@dataclass(frozen=True)
class Change:
    """Which endpoint a request is to change, and the tags of one that it may; and how it is
    answered: by the endpoint as it is then, with its tag."""

    response: Response
    name: str
    match: str | None = None

    def answer(self, endpoint: Endpoint) -> JSON:
        self.response.headers["etag"] = etag(endpoint)
        return endpoint.as_dict()


def _change(response: Response, name: str, if_match: IfMatch = None) -> Change:
    return Change(response, name, if_match)


ForChange = Annotated[Change, Depends(_change)]


class Promotion(BaseModel):
    """The version that shall answer; one whose verdict is negative only with `force`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: Number
    force: bool = False


class Trying(BaseModel):
    """The version that shall be tried: as a `canary` it answers a share of the requests, as a
    `shadow` it is asked copies of a share of them, whose answers are compared and not sent."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: Number
    mode: Mode = "canary"
    share: Annotated[float, Field(gt=0, le=1)] = 0.1
    force: bool = False


class Truth(BaseModel):
    """The true label of a row (from 0) of the request with this id."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[str, Field(min_length=1, max_length=128)]
    label: Annotated[str, Field(max_length=10_000)]
    row: Annotated[int, Field(ge=0, lt=1_000_000)] = 0


class Feedback(BaseModel):
    """True labels that came back for predictions."""

    model_config = ConfigDict(extra="forbid", strict=True)

    labels: Annotated[list[Truth], Field(min_length=1, max_length=1000)]


class Rollback(BaseModel):
    """The version that shall no longer answer or be tried; where it is not, nothing changes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: Annotated[Number, Field(alias="from")]


@router.get("", response_description="Endpoints as `items`, and the cursor of the `next` page")
def list_endpoints(services: ForReaders, wanted: Wanted) -> JSON:
    """Endpoints, by name."""
    return as_json(services.registry.models.endpoint_page(wanted))


@router.get("/{name}", response_description="The endpoint; its `ETag` is for `If-Match`")
def show(services: ForReaders, response: Response, name: str) -> JSON:
    """One endpoint; `path` is where it answers."""
    return Change(response, name).answer(services.registry.models.endpoint(name))


@router.delete("/{name}", status_code=204)
def end(services: ForDeleters, change: ForChange) -> None:
    """Let nobody answer at this endpoint. Its versions stay: to promote one brings it back."""
    services.registry.removal.end(change.name, change.match)


@router.post(
    "/{name}/promote", openapi_extra=documented(Promotion), response_description="The endpoint"
)
def promote(services: ForPromoters, change: ForChange, values: ControlBody) -> JSON:
    """Let a version answer."""
    wanted = parsed(Promotion, values)
    models = services.registry.models
    return change.answer(models.promote(change.name, wanted.version, wanted.force, change.match))


@router.post(
    "/{name}/rollback", openapi_extra=documented(Rollback), response_description="The endpoint"
)
def roll_back(services: ForPromoters, change: ForChange, values: ControlBody) -> JSON:
    """End the trial of the version `from`, or let the version answer that did before it; repeating
    the request changes nothing more."""
    version = parsed(Rollback, values).version
    return change.answer(
        services.registry.models.roll_back(change.name, version, match=change.match)
    )


@router.post("/{name}/try", openapi_extra=documented(Trying), response_description="The endpoint")
def try_out(services: ForPromoters, change: ForChange, values: ControlBody) -> JSON:
    """Try a version beside the one that answers; promotion or rollback ends it."""
    wanted = parsed(Trying, values)
    tried = services.registry.rollouts.try_out(
        change.name, wanted.version, wanted.mode, wanted.share, wanted.force, change.match
    )
    return change.answer(tried)


@router.put(
    "/{name}/placement", openapi_extra=documented(Placement), response_description="The endpoint"
)
def place(services: ForPromoters, change: ForChange, values: ControlBody) -> JSON:
    """Where the endpoint shall answer; `placed` turns true once its own replicas do."""
    wanted = parsed(Placement, values)
    return change.answer(services.registry.rollouts.place(change.name, wanted, change.match))


@router.get("/{name}/history", response_description="The changes as `items`")
def history(services: ForReaders, name: str) -> JSON:
    """All changes of the endpoint, the newest first; `reason` where it was not asked for."""
    return {"items": [one.as_dict() for one in services.registry.rollouts.history(name)]}


@router.get("/{name}/live", response_description="A record a version as `items`")
def live(services: ForReaders, name: str) -> JSON:
    """How each version does while it answers: requests, copies, true labels, and drift."""
    return {"items": describe_live(services.registry, name)}


@router.post(
    "/{name}/feedback",
    openapi_extra=documented(Feedback),
    response_description="How many labels were `kept`, and how many requests are `known` by now",
)
def feedback(services: ForPredictors, name: str, values: ControlBody) -> JSON:
    """Keep true labels: of a row each, by the `id` of the request's body or, where it had none, by
    its `X-Request-Id`. A label may come before its prediction is known here, which takes a second
    or two."""
    found = parsed(Feedback, values).labels
    labels = [TrueLabel(one.id, one.label, one.row) for one in found]
    return {"kept": len(labels), "known": services.registry.feedback.add(name, labels)}
