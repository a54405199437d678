"""The endpoints of a replica: kept in step with the endpoint table, changed without a pause."""

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path

from regraft.errors import NotReadyError, UnknownNameError
from regraft.plugins import Plugins
from regraft.registry.endpoint_table import EndpointTable, Route, revisions, stopping
from regraft.registry.home import Home
from regraft.registry.manifest import Manifest
from regraft.serving.memory import BackboneMemory, give_back
from regraft.serving.predictor import Opener, Predictor
from regraft.serving.rollout import Served
from regraft.serving.sessions import Runtime

log = logging.getLogger("regraft.serving")

RETRY_SECONDS = 30.0
WAIT_SECONDS = 10.0
VISIT_SECONDS = 60.0
"""For how long another's endpoint stays loaded once it was asked for here."""


@dataclass(frozen=True)
class Failure:
    """A version that could not be loaded, why, and when to try again."""

    route: Route
    reason: str
    again: float


class Pool:
    """Loads what the newest table names. A version is loaded and warmed beside the old one and then
    takes its place; if it cannot be loaded the old one stays, or comes where a replica is new, and
    the failure is told.

    Of backbones it keeps so many bytes in memory as `limit` says.

    A pool for one endpoint `only` loads that one. Any other leaves dedicated endpoints to replicas
    of their own, but for a while after it is asked for one: by whoever did not know of the change.
    """

    def __init__(
        self, tables: Path, opener: Opener, only: str | None = None, limit: int | None = None
    ) -> None:
        self.tables = tables
        self.opener = opener
        self.only = only
        self.memory = BackboneMemory(lambda: list(opener.backbones.values()), limit)
        self.revision = -1
        self.routes: dict[str, Route] = {}
        self.served: dict[str, Served] = {}
        self.failures: dict[tuple[str, int], Failure] = {}
        self.visited: dict[str, float] = {}
        self._hurry = asyncio.Event()
        self._changed = asyncio.Condition()

    @property
    def ready(self) -> bool:
        """Whether every endpoint of the current table that is ours can answer, and the server does
        not stop."""
        return self.revision >= 0 and not self.missing and not self.stopping

    @property
    def stopping(self) -> bool:
        """Whether the server stops, so that nobody shall send it more."""
        return stopping(self.tables).exists()

    @property
    def missing(self) -> list[str]:
        """The endpoints that are ours and cannot answer yet, by name."""
        ours = (name for name, route in self.routes.items() if self._ours(route))
        return sorted(name for name in ours if name not in self.served)

    def find(self, name: str) -> Served:
        """What is loaded under a name."""
        found = self.served.get(name)
        if found is None and name in self.routes:
            raise NotReadyError(f"Endpoint '{name}' is not ready: {self.why(name)}")
        if found is None:
            raise UnknownNameError("endpoint", name[:63], self.routes)
        return found

    def failure(self, name: str) -> Failure | None:
        """What is wrong with the version that should answer, or with the one to be tried."""
        wanted = self.routes[name].versions() if name in self.routes else ()
        found = (self.failures.get((one.name, one.version)) for one in wanted)
        return next((failure for failure in found if failure), None)

    def why(self, name: str) -> str:
        failure = self.failure(name)
        return failure.reason if failure else "it is loading."

    async def waited_for(self, name: str) -> Served:
        """Like `find`, but an endpoint that was published a moment ago is waited for."""
        if name not in self.served:
            await self._catch_up(name)
        elif name in self.visited:
            self.visited[name] = time.monotonic()
        return self.find(name)

    async def _catch_up(self, name: str) -> None:
        """Have a newer table read now, and wait for the endpoint to load or to fail."""
        if name not in self.routes and not await asyncio.to_thread(self._comes, name):
            return
        self.visited[name] = time.monotonic()
        self._hurry.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_SECONDS), self._changed:
                await self._changed.wait_for(lambda: self._settled(name))

    def _comes(self, name: str) -> bool:
        """Whether a newer table than ours has this name, which may be a client's own making."""
        table = self._newest()
        return table is not None and any(route.name == name for route in table.routes)

    def _settled(self, name: str) -> bool:
        return name in self.served or self.failure(name) is not None

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
            wanted = {(one.name, one.version) for route in table.routes for one in route.versions()}
            self.failures = {key: self.failures[key] for key in self.failures.keys() & wanted}
        ours = [route for route in self.routes.values() if self._ours(route)]
        if self._keep({route.name for route in ours}):
            await asyncio.to_thread(give_back)
        for route in ours:
            if self._differs(route):
                await self._bring(route)

    def _ours(self, route: Route) -> bool:
        if self.only is not None:
            return route.name == self.only
        if not route.dedicated:
            return True
        return time.monotonic() - self.visited.get(route.name, float("-inf")) < VISIT_SECONDS

    def _keep(self, names: set[str]) -> bool:
        """Drop what is not ours any more, and say whether there was some; what has just become
        somebody else's stays for a while, since some requests still find their way here."""
        moved = (self.served.keys() - names) & self.routes.keys() - self.visited.keys()
        self.visited |= dict.fromkeys(moved, time.monotonic())
        gone = self.served.keys() - names - moved
        for name in gone:
            del self.served[name]
            self.visited.pop(name, None)
        return bool(gone)

    def _differs(self, route: Route) -> bool:
        """Whether what is loaded is not what the route wants."""
        served = self.served.get(route.name)
        if served is None or served.tried != route.tried:
            return True
        return served.stable.version != route.version

    async def _bring(self, route: Route) -> None:
        """Load what the route wants, and let it answer; as much of it as can be loaded."""
        newest, *rest = [await self._loaded(one) for one in route.versions()]
        known = self.served.get(route.name)
        stable = newest or (known.stable if known else await self._last(route))
        if stable is None:
            await self._tell()
            return
        candidate = rest[0] if rest else None
        tried = route.tried if candidate is not None else None
        found = self.served[route.name] = Served(stable, candidate, tried)
        gone = known is not None and any(one not in found.predictors for one in known.predictors)
        del known
        if gone:
            await asyncio.to_thread(give_back)
        await self._tell()

    async def _last(self, route: Route) -> Predictor | None:
        """The version before, for a replica that has none yet."""
        before = route.fallback()
        return await self._loaded(before) if before else None

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _newest(self) -> EndpointTable | None:
        known = revisions(self.tables)
        if not known:
            return EndpointTable(0, ()) if self.revision < 0 else None
        return EndpointTable.read(self.tables, known[-1]) if known[-1] != self.revision else None

    async def _loaded(self, route: Route) -> Predictor | None:
        """The predictor of this version, loaded now unless it is already or failed a moment ago."""
        served = self.served.get(route.name)
        for predictor in served.predictors if served else ():
            if predictor.version == route.version:
                return predictor
        failure = self.failures.get((route.name, route.version))
        if failure and failure.route == route and time.monotonic() < failure.again:
            return None
        return await self._load(route)

    async def _load(self, route: Route) -> Predictor | None:
        try:
            predictor = await asyncio.to_thread(self._open, route)
        except Exception as error:  # noqa: BLE001 - a damaged or foreign version may raise anything
            log.error("cannot load %s version %s: %s", route.name, route.version, error)
            reason = f"version {route.version} could not be loaded."
            failure = Failure(route, reason, time.monotonic() + RETRY_SECONDS)
            self.failures[route.name, route.version] = failure
            return None
        await self.memory.make_room()
        self.failures.pop((route.name, route.version), None)
        return predictor

    def _open(self, route: Route) -> Predictor:
        """Load and warm. Only the entry point of the version's own task is imported."""
        manifest = Manifest.load(route.manifest, self.opener.blobs)
        self.opener.plugins.require(manifest.task.entry_point)
        known = set(self.opener.backbones)
        predictor = self.opener.open(route)
        predictor.warm_up()
        if not known.issuperset(self.opener.backbones):
            give_back()  # To open a backbone takes twice the memory that it has then.
        return predictor


def new_pool(
    home: Home, runtime: Runtime, only: str | None = None, limit: int | None = None
) -> Pool:
    """A pool over this home, with no plugin loaded yet."""
    return Pool(home.tables, Opener(home.blobs, Plugins(), runtime), only, limit)
