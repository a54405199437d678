"""What would hold the event loop up goes to a thread of its own."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LARGE = 2**18
"""Bytes of a request from which on it is read beside the event loop."""
FILES = 2**16
"""The same where files are looked into: a change of threads takes longer than a look at a few."""
MOST = 4
"""Files of a request of which more are looked at beside the event loop."""
LONG = 0.002
"""Seconds that no look at files may take, on the event loop."""
REST = 100
"""So many times as long no other look is taken there."""


async def aside(size: int, call: Callable[[], T]) -> T:
    """What a call says that works through so many bytes. If they are many nobody waits for it
    longer than threads take turns."""
    return await asyncio.to_thread(call) if size > LARGE else call()


class Looks:
    """Looks at the headers of files: on the event loop as long as that is quick. Few bytes can take
    a decoder long; all looks that did take a hundredth of the loop's time at most."""

    def __init__(self) -> None:
        self.resting = 0.0

    async def at(self, files: int, size: int, look: Callable[[], T]) -> T:
        """What a look at so many files finds, that have so many bytes together."""
        if files > MOST or size > FILES or time.monotonic() < self.resting:
            return await asyncio.to_thread(look)
        begin = time.thread_time()
        try:
            return look()
        finally:
            taken = time.thread_time() - begin
            if taken > LONG:
                self.resting = time.monotonic() + REST * taken
