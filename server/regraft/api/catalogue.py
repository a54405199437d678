"""`/v1/sources`, `/v1/tasks`, `/v1/strategies` and `/v1/plugins`: what is installed."""

from fastapi import APIRouter

from regraft.adaptations.queries import listing
from regraft.api.services import ForAnyone
from regraft.domain import JSON

router = APIRouter(prefix="/v1", tags=["catalogue"])


@router.get("/sources", response_description="Source models as `items`")
def list_sources(services: ForAnyone) -> JSON:
    """The source models that plugins offer by name."""
    return {"items": listing("sources", services.registry, services.plugins)}


@router.get("/sources/{reference:path}", response_description="The source model")
def show_one_source(reference: str, services: ForAnyone) -> JSON:
    """Modality, licence, origin, parameters and features of a source model, by any reference."""
    return services.source(reference)


@router.get("/tasks", response_description="Tasks as `items`")
def list_tasks(services: ForAnyone) -> JSON:
    """The tasks, each with its primary metric."""
    return {"items": listing("tasks", services.registry, services.plugins)}


@router.get("/strategies", response_description="Transfer strategies as `items`")
def list_strategies(services: ForAnyone) -> JSON:
    """The transfer strategies, each with its options and their defaults."""
    return {"items": listing("strategies", services.registry, services.plugins)}


@router.get("/plugins", response_description="Plugins as `items`")
def list_plugins(services: ForAnyone) -> JSON:
    """The installed plugins, those that failed to load included."""
    return {"items": listing("plugins", services.registry, services.plugins)}
