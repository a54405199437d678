"""`/v1/models`: published versions."""

from typing import Annotated

from fastapi import APIRouter

from regraft.adaptations.queries import listing, show_version
from regraft.api.services import Services, allowed
from regraft.domain import JSON, Number
from regraft.identity.scopes import Scope

router = APIRouter(prefix="/v1/models", tags=["models"])

ForReaders = Annotated[Services, allowed(Scope.MODELS_READ)]


@router.get("", response_description="All versions as `items`")
def list_models(services: ForReaders) -> JSON:
    """All versions of all models."""
    return {"items": listing("models", services.registry, services.plugins)}


@router.get("/{name}", response_description="The version with its report")
def show_newest(services: ForReaders, name: str) -> JSON:
    """The newest version of a model with its transfer report."""
    return show_version(services.registry, name, None)


@router.get("/{name}/versions/{version}", response_description="The version with its report")
def show(services: ForReaders, name: str, version: Number) -> JSON:
    """One version of a model with its transfer report."""
    return show_version(services.registry, name, version)
