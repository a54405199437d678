"""The body of a request, as it comes in."""

import asyncio

from starlette.requests import Request

from regraft.errors import TooLargeError, TooSlowError
from regraft.serving.protocol import decode_content

SECONDS = 120
"""That a client may take to send it."""


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body, decoded.

    Raises TooLargeError as soon as more than `limit` bytes have come or come out of what is
    compressed, TooSlowError if it is not whole in time.
    """
    chunks, size = [], 0
    try:
        async with asyncio.timeout(SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise TooLargeError(f"The body is larger than {limit:,} bytes.")
                chunks.append(chunk)
    except TimeoutError:
        raise TooSlowError(f"The body was not whole after {SECONDS} seconds.") from None
    body, encoding = b"".join(chunks), request.headers.get("content-encoding")
    if not encoding:
        return body
    return await asyncio.to_thread(decode_content, body, encoding, limit)
