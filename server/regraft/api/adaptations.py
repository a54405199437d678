"""`/v1/adaptations`: submit, look, cancel, follow."""

from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict
from starlette.responses import StreamingResponse

from regraft.adaptations.request import parse_spec
from regraft.api.control_body import ControlBody, documented
from regraft.api.progress import RunProgress
from regraft.api.services import Services, Wanted, allowed, as_json
from regraft.domain import JSON, UPLOADED, AdaptationSpec, State
from regraft.errors import InvalidInputError
from regraft.identity.scopes import Scope

router = APIRouter(prefix="/v1/adaptations", tags=["adaptations"])

ForSubmitters = Annotated[Services, allowed(Scope.ADAPTATIONS_SUBMIT)]
ForReaders = Annotated[Services, allowed(Scope.ADAPTATIONS_READ)]
ForCancellers = Annotated[Services, allowed(Scope.ADAPTATIONS_CANCEL)]

IdempotencyKey = Annotated[
    str | None,
    Header(
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Repeating a request with its key gives the adaptation that it made.",
    ),
]
LastEventId = Annotated[
    int, Header(ge=0, lt=2**31, description="Only events after this one are sent.")
]


class Cancellation(BaseModel):
    """An empty object: the kind of a body keeps foreign web pages from sending it."""

    model_config = ConfigDict(extra="forbid")


@router.post(
    "",
    status_code=202,
    openapi_extra=documented(AdaptationSpec),
    response_description="The adaptation; `Location` is its address",
)
def submit(
    services: ForSubmitters,
    values: ControlBody,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> JSON:
    """Check the whole request, then start an adaptation.

    `data`, `source_data`, `unlabelled`, `test` and `validation` are references of uploaded data
    sets.
    """
    spec = parse_spec(values)
    _check_uploaded(spec, services)
    services.check(spec)
    adaptation, new = services.registry.runs.submit(
        spec, idempotency_key, on_server=True, most=services.settings.max_waiting
    )
    if new or adaptation.state == State.SUBMITTED:
        _launch(services, adaptation.id)
    response.headers["location"] = f"{router.prefix}/{adaptation.id}"
    return adaptation.as_dict()


@router.get("", response_description="Adaptations as `items`, and the cursor of the `next` page")
def list_adaptations(services: ForReaders, wanted: Wanted) -> JSON:
    """Adaptations, the newest first."""
    return as_json(services.registry.runs.page(wanted))


@router.get("/{identifier}", response_description="The adaptation")
def show(services: ForReaders, identifier: str) -> JSON:
    """One adaptation: its state, and its result or the reason why there is none."""
    return services.registry.runs.get(identifier).as_dict()


@router.post(
    "/{identifier}/cancel",
    status_code=202,
    openapi_extra=documented(Cancellation),
    response_description="The adaptation",
)
def cancel(services: ForCancellers, identifier: str, values: ControlBody) -> JSON:
    """Ask an adaptation to stop; one that has ended is left as it is."""
    if values != {}:
        raise InvalidInputError("The body of a cancellation is {}: there is nothing to choose.")
    return services.registry.runs.request_cancel(identifier).as_dict()


@router.get(
    "/{identifier}/events",
    response_class=StreamingResponse,
    responses={
        200: {"description": "Server-sent events", "content": {"text/event-stream": {}}},
        204: {"description": "The adaptation has ended and all its events were sent before"},
    },
)
async def events(services: ForReaders, identifier: str, last_event_id: LastEventId = 0) -> Response:
    """Progress as it happens: `id` is the event's number, `event` its kind, `data` JSON.

    The stream ends after the event `succeeded`, `failed` or `cancelled`.
    """
    progress = RunProgress(services.registry.runs, identifier, last_event_id)
    if await run_in_threadpool(progress.exhausted):
        # Tells a browser's EventSource, which reconnects for ever, to stop.
        return Response(status_code=204)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(progress.stream(), headers=headers, media_type="text/event-stream")


def _check_uploaded(spec: AdaptationSpec, services: Services) -> None:
    """A client must not make the server read the files of its own disk."""
    for field, reference in spec.references().items():
        if not reference.startswith(UPLOADED):
            raise InvalidInputError(
                f"{field}: a server takes a data set as '{UPLOADED}ID', not {reference[:60]!r}. "
                "Upload the file first: POST /v1/datasets?filename=NAME answers its reference."
            )
        services.registry.uploads.path(reference)


def _launch(services: Services, identifier: str) -> None:
    try:
        services.launch(identifier)
    except Exception:
        # Nobody will ever run it, and whoever follows it must hear that.
        services.registry.runs.fail(identifier, "The server could not start the run.")
        raise
