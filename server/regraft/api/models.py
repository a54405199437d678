"""`/v1/models`: published versions."""

from typing import Annotated

from fastapi import APIRouter

from regraft.adaptations.queries import show_version
from regraft.api.services import Services, Wanted, allowed, as_json
from regraft.domain import JSON, Number
from regraft.identity.scopes import Scope

router = APIRouter(prefix="/v1/models", tags=["models"])

ForReaders = Annotated[Services, allowed(Scope.MODELS_READ)]
ForDeleters = Annotated[Services, allowed(Scope.MODELS_DELETE)]


@router.get("", response_description="Versions as `items`, and the cursor of the `next` page")
def list_models(services: ForReaders, wanted: Wanted) -> JSON:
    """Versions of all models, by name and number."""
    return as_json(services.registry.models.page(wanted))


@router.get("/{name}", response_description="The version with its report")
def show_newest(services: ForReaders, name: str) -> JSON:
    """The newest version of a model with its transfer report."""
    return show_version(services.registry, name, None)


@router.get("/{name}/versions/{version}", response_description="The version with its report")
def show(services: ForReaders, name: str, version: Number) -> JSON:
    """One version of a model with its transfer report."""
    return show_version(services.registry, name, version)


@router.delete("/{name}/versions/{version}", status_code=204)
def delete(services: ForDeleters, name: str, version: Number) -> None:
    """Forget a version that neither answers nor is tried. No other will bear its number."""
    services.registry.removal.delete(name, version)
