"""Every route of the control plane, and how to ask it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import chain
from typing import Any

from fastapi.routing import APIRoute

from regraft.api.app import PUBLIC, ROUTERS


def filled(site: Any) -> Any:
    """With a model, its endpoint, a data set, and an adaptation that was cancelled."""
    asyncio.run(site.registry.uploads.receive("rows.csv", _chunks(), 100))
    site.publish()
    site.registry.runs.request_cancel(site.run().id)
    return site


async def _chunks() -> AsyncIterator[bytes]:
    yield b"text,label\n"


def asked(site: Any) -> Iterator[tuple[str, APIRoute, Callable[..., Any]]]:
    """Every method of every route, and how to ask it; what deletes comes last."""
    (run,), (upload,) = site.registry.runs.all(), site.registry.uploads.all()
    known = {"name": "tweets", "version": "1", "reference": "minilm-l6"}
    routes = [*chain.from_iterable(router.routes for router in ROUTERS)]
    for route in sorted(routes, key=lambda one: getattr(one, "methods", None) == {"DELETE"}):
        if isinstance(route, APIRoute) and route.path not in PUBLIC:
            identifier = upload.id if "datasets" in route.path else run.id
            if route.path.startswith("/v1/uploads/"):
                identifier = site.registry.partial_uploads.begin("rows.csv")["id"]
            path = route.path.replace(":path}", "}").format(**known, identifier=identifier)
            for method in route.methods:
                yield f"{method} {route.path}", route, _asking(site, method, path)


def _asking(site: Any, method: str, path: str) -> Callable[..., Any]:
    def ask(key: str | None = None) -> Any:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        body = {"json": {}} if method in ("POST", "PUT") else {}
        return site.http.request(method, path, headers=headers, follow_redirects=False, **body)

    return ask
