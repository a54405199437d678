"""How many backbones a replica keeps in memory, and which."""

import asyncio
import ctypes
import gc
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from regraft.serving.predictor import Backbone

log = logging.getLogger("regraft.serving")


class BackboneMemory:
    """Puts away the backbones that were used least recently, so that the files of those in memory
    are no more than `limit` bytes together (None: any number), and fetches one that is asked for
    again. One that is in use stays, also beyond the limit, until nobody uses it any more. For use
    on the event loop."""

    def __init__(self, known: Callable[[], Iterable[Backbone]], limit: int | None = None) -> None:
        self.known = known
        self.limit = limit
        self.fetching: dict[Backbone, asyncio.Task[None]] = {}
        self.crowded = False
        self.clearing: asyncio.Task[None] | None = None

    @contextmanager
    def using(self, backbone: Backbone) -> Iterator[None]:
        """Inside it is not put away."""
        self.take(backbone)
        try:
            yield
        finally:
            self.give(backbone)

    def take(self, backbone: Backbone) -> None:
        backbone.users += 1

    def give(self, backbone: Backbone) -> None:
        backbone.users -= 1
        backbone.used = time.monotonic()
        if self.crowded and not backbone.users:
            self.crowded = False
            self.clearing = asyncio.create_task(self.make_room())

    async def fetch(self, backbone: Backbone) -> None:
        """Have it in memory: once for all who ask for it, also where they leave; in a thread, so
        that others are answered meanwhile."""
        if backbone not in self.fetching:
            task = asyncio.create_task(self._fetch(backbone))
            self.fetching[backbone] = task
            task.add_done_callback(lambda done: self.fetching.pop(backbone))
        await asyncio.shield(self.fetching[backbone])

    async def _fetch(self, backbone: Backbone) -> None:
        with self.using(backbone):
            await self.make_room(backbone.size)
            begin = time.perf_counter()
            await asyncio.to_thread(backbone.load)
            # Others may have been fetched meanwhile, each for a room that was there.
            await self.make_room()
        seconds = time.perf_counter() - begin
        log.info("backbone %s is in memory again after %.2f s", backbone.name[:12], seconds)

    async def make_room(self, wanted: int = 0) -> None:
        """Put away what was not used for longest until `wanted` bytes more fit, and give the memory
        back to the system."""
        if self.limit is None:
            return
        loaded = sorted((one for one in self.known() if one.loaded), key=lambda one: one.used)
        excess, gone = sum(one.size for one in loaded) + wanted - self.limit, 0
        for backbone in loaded:
            if excess - gone > 0 and not backbone.users:
                backbone.unload()
                gone += backbone.size
                log.info("backbone %s is put away", backbone.name[:12])
        # One that is larger than the limit stays alone, or it would be fetched for each request.
        self.crowded = excess > gone and sum(one.loaded for one in loaded) > 1
        if gone:
            await asyncio.to_thread(give_back)


def give_back() -> None:
    """Free memory goes to the system: glibc keeps most of what a session had."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
