"""The bodies of requests, as they come in."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from starlette.requests import ClientDisconnect, Request

from regraft.errors import OverloadedError, TooLargeError, TooSlowError
from regraft.serving.protocol import decode_content

SECONDS = 120
"""That a client may take to send one."""
ABREAST = 8
"""So many of the greatest size may come in at a time."""
PIECE, REST = 2**20, 0.01
"""Bytes after which a client that sends more is not read for so many seconds: who sends without
end takes the processors from others."""
ENCODING = b"content-encoding"


class Bodies:
    """Reads bodies of at most `limit` bytes each, and of `ABREAST` times as much in all at a time.
    For use on the event loop.

    Compressed ones are unpacked one at a time, beside that: a few bytes can stand for `limit`, and
    where each took so much of the room most would be refused for what never comes out.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.room = ABREAST * limit
        # Its one thread is the turn, which lasts until that is done, also where a client leaves.
        self.unpacker = ThreadPoolExecutor(1, thread_name_prefix="unpacker")

    def check(self, size: int) -> None:
        """TooLargeError if no body may have so many bytes."""
        if size > self.limit:
            raise TooLargeError(f"The body is larger than {self.limit:,} bytes.")

    async def read(self, request: Request) -> bytes:
        """The whole body, decoded.

        Raises TooLargeError as soon as more than `limit` bytes are announced, have come or come out
        of what is compressed, TooSlowError if it is not whole in time, OverloadedError where too
        much comes in at this moment.
        """
        headers = dict(request.scope["headers"])
        self.check(int(headers.get(b"content-length", 0)))
        share = Share(self)
        try:
            body = await self._whole(request, share)
            encoding = headers.get(ENCODING, b"").decode("latin-1")
            if not encoding:
                return body
            return await asyncio.get_running_loop().run_in_executor(
                self.unpacker, decode_content, body, encoding, self.limit
            )
        finally:
            self.room += share.taken

    async def _whole(self, request: Request, share: "Share") -> bytes:
        chunks, pace, more = [], Pace(), True
        try:
            async with asyncio.timeout(SECONDS):
                while more:
                    chunk, more = await self._piece(request, share)
                    chunks.append(chunk)
                    await pace.after(len(chunk))
        except TimeoutError:
            raise TooSlowError(f"The body was not whole after {SECONDS} seconds.") from None
        return b"".join(chunks)

    async def _piece(self, request: Request, share: "Share") -> tuple[bytes, bool]:
        """What comes next, and whether that is not all."""
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        share.take(len(chunk))
        self.check(share.taken)
        return chunk, message.get("more_body", False)


class Share:
    """What one body takes of the room for all."""

    def __init__(self, bodies: Bodies) -> None:
        self.bodies = bodies
        self.taken = 0

    def take(self, count: int) -> None:
        """OverloadedError if there is not so much left."""
        if count > self.bodies.room:
            raise OverloadedError("Too many large bodies come in at this moment.")
        self.bodies.room -= count
        self.taken += count


class Pace:
    """How quickly one client is read."""

    def __init__(self) -> None:
        self.read = 0

    async def after(self, count: int) -> None:
        """Rest, if with these bytes it is time for it."""
        self.read += count
        if self.read >= PIECE:
            self.read = 0
            await asyncio.sleep(REST)
