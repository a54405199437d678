"""Requests to one server, and what their answers mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from regraft.client.event_stream import ServerEvent, read_events
from regraft.client.failures import UnreachableError, remote_error
from regraft.domain import JSON
from regraft.errors import InvalidInputError

# A proxy that the environment names cannot reach this machine's own server.
LOOPBACK = {"all://localhost": None, "all://127.0.0.1": None, "all://[::1]": None}
# The server says something every ten seconds.
SILENCE = 30.0


class Connection:
    """One server at `url`; `timeout` is in seconds, of each wait for the network; `key` is an API
    key, if the server asks for one."""

    def __init__(self, url: str, timeout: float, key: str | None = None) -> None:
        self.url = url.rstrip("/")
        self.timeout = timeout
        try:
            headers = {"authorization": f"Bearer {key}"} if key else {}
            self.http = httpx.Client(
                base_url=self.url, timeout=timeout, mounts=LOOPBACK, headers=headers
            )
        except httpx.InvalidURL as error:
            raise _not_a_url(url, error) from error

    def ask(self, method: str, path: str, **given: Any) -> JSON:
        """The JSON of the answer, {} where it has no content. Raises RemoteError, or
        UnreachableError if there is none."""
        with self._reaching():
            response = self.http.request(method, path, **given)
        if not response.is_success:
            raise remote_error(response)
        if response.status_code == httpx.codes.NO_CONTENT:
            return {}
        try:
            answer: JSON = response.json()
        except ValueError:
            raise remote_error(response) from None
        return answer

    def events(self, path: str, after: int) -> Iterator[ServerEvent | None]:
        """The events of a stream until it ends, None for each sign of life between them."""
        headers = {"last-event-id": str(after)}
        timeout = httpx.Timeout(self.timeout, read=SILENCE)
        with (
            self._reaching(),
            self.http.stream("GET", path, headers=headers, timeout=timeout) as response,
        ):
            if not response.is_success:
                response.read()
                raise remote_error(response)
            yield from read_events(response.iter_lines())

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise _not_a_url(self.url, error) from error
        except httpx.TransportError as error:
            raise UnreachableError(self.url, error) from error


def _not_a_url(url: str, error: Exception) -> InvalidInputError:
    return InvalidInputError(f"'{url}' is not a URL such as http://127.0.0.1:8000: {error}")
