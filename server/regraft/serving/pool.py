"""The endpoints of a replica: kept in step with the endpoint table, changed without a pause."""

import asyncio
import contextlib
import gc
import logging
import time
from dataclasses import dataclass
from pathlib import Path

from regraft.errors import NotReadyError, UnknownNameError
from regraft.plugins import Plugins
from regraft.registry.endpoint_table import EndpointTable, Route, revisions
from regraft.registry.home import Home
from regraft.registry.manifest import Manifest
from regraft.serving.predictor import Opener, Predictor
from regraft.serving.sessions import Runtime

log = logging.getLogger("regraft.serving")

RETRY_SECONDS = 30.0
WAIT_SECONDS = 10.0


@dataclass(frozen=True)
class Failure:
    """A version that could not be loaded, why, and when to try again."""

    route: Route
    reason: str
    again: float


class Pool:
    """Loads what the newest table names. A version is loaded and warmed beside the old one and then
    takes its place; if it cannot be loaded the old one stays and the failure is told."""

    def __init__(self, tables: Path, opener: Opener) -> None:
        self.tables = tables
        self.opener = opener
        self.revision = -1
        self.routes: dict[str, Route] = {}
        self.predictors: dict[str, Predictor] = {}
        self.failures: dict[str, Failure] = {}
        self._hurry = asyncio.Event()
        self._changed = asyncio.Condition()

    @property
    def ready(self) -> bool:
        """Whether every endpoint of the current table can answer."""
        return self.revision >= 0 and self.routes.keys() <= self.predictors.keys()

    def find(self, name: str, version: str | None = None) -> Predictor:
        """The predictor of an endpoint, and of this version if one is named."""
        found = self.predictors.get(name)
        if found is None and name in self.routes:
            raise NotReadyError(f"Endpoint '{name}' is not ready: {self.why(name)}")
        if found is None:
            raise UnknownNameError("endpoint", name[:63], self.routes)
        if version is not None and version != str(found.version):
            raise UnknownNameError(f"version of '{name}'", version[:20], [str(found.version)])
        return found

    def why(self, name: str) -> str:
        failure = self.failures.get(name)
        return failure.reason if failure else "it is loading."

    async def waited_for(self, name: str, version: str | None = None) -> Predictor:
        """Like `find`, but an endpoint that was published a moment ago is waited for."""
        if name not in self.predictors:
            await self._catch_up(name)
        return self.find(name, version)

    async def _catch_up(self, name: str) -> None:
        """Have a newer table read now, and wait for the endpoint to load or to fail."""
        if name not in self.routes and await asyncio.to_thread(self._newest) is None:
            return
        self._hurry.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_SECONDS), self._changed:
                await self._changed.wait_for(lambda: self._settled(name))

    def _settled(self, name: str) -> bool:
        return name in self.predictors or name in self.failures

    async def follow(self, seconds: float) -> None:
        """Refresh for ever, every `seconds` or sooner; an unreadable table is tried again."""
        while True:
            self._hurry.clear()
            await self.refresh_safely()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._hurry.wait()

    async def refresh_safely(self) -> None:
        """Refresh; a table that cannot be read or understood changes nothing."""
        try:
            await self.refresh()
        except (OSError, ValueError, LookupError, TypeError) as error:
            log.error("cannot read the endpoint table: %s", error)

    async def refresh(self) -> None:
        """Read the newest table if it is new, and load what is missing; in a thread, one by one."""
        table = await asyncio.to_thread(self._newest)
        if table is not None:
            self.revision = table.revision
            self.routes = {route.name: route for route in table.routes}
            gone = self.predictors.keys() - self.routes.keys()
            for name in gone:
                del self.predictors[name]
            if gone:
                gc.collect()
        for route in list(self.routes.values()):
            if self._wanted(route):
                await self._load(route)
                async with self._changed:
                    self._changed.notify_all()

    def _newest(self) -> EndpointTable | None:
        known = revisions(self.tables)
        if not known:
            return EndpointTable(0, ()) if self.revision < 0 else None
        return EndpointTable.read(self.tables, known[-1]) if known[-1] != self.revision else None

    def _wanted(self, route: Route) -> bool:
        current = self.predictors.get(route.name)
        if current is not None and current.version == route.version:
            return False
        failure = self.failures.get(route.name)
        return failure is None or failure.route != route or time.monotonic() > failure.again

    async def _load(self, route: Route) -> None:
        try:
            predictor = await asyncio.to_thread(self._open, route)
        except Exception as error:  # noqa: BLE001 - a damaged or foreign version may raise anything
            log.error("cannot load %s version %s: %s", route.name, route.version, error)
            reason = f"version {route.version} could not be loaded."
            self.failures[route.name] = Failure(route, reason, time.monotonic() + RETRY_SECONDS)
            return
        self.failures.pop(route.name, None)
        replaced = self.predictors.get(route.name)
        self.predictors[route.name] = predictor
        if replaced is not None:
            del replaced
            gc.collect()

    def _open(self, route: Route) -> Predictor:
        """Load and warm. Only the entry point of the version's own task is imported."""
        manifest = Manifest.load(route.manifest, self.opener.blobs)
        self.opener.plugins.require(manifest.task.entry_point)
        predictor = self.opener.open(route)
        predictor.warm_up()
        return predictor


def new_pool(home: Home, runtime: Runtime) -> Pool:
    """A pool over this home, with no plugin loaded yet."""
    return Pool(home.tables, Opener(home.blobs, Plugins(), runtime))
