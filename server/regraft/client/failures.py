"""What a server's failures are here: the same errors that work in this process raises."""

from collections.abc import Sequence
from typing import Any

import httpx

from regraft.domain import JSON
from regraft.errors import RegraftError


class RemoteError(RegraftError):
    """A failure that a server told of; `problems` lists what is wrong with a data set."""

    def __init__(self, message: str, status: int, problems: Sequence[JSON] = ()) -> None:
        self.status = status
        self.problems = tuple(problems)
        super().__init__(message)


class UnreachableError(RegraftError):
    """No answer came from the server."""

    status = 503

    def __init__(self, url: str, error: Exception) -> None:
        super().__init__(
            f"The server at {url} cannot be reached ({type(error).__name__}: {error}). "
            "Start one with `regraft serve`, or name another."
        )


def remote_error(response: httpx.Response) -> RemoteError:
    """The error that a failed response tells of: a problem document, the inference protocol's
    `error`, or, from a proxy, any text."""
    document = _document(response)
    message = document.get("detail") or document.get("error")
    if not isinstance(message, str):
        text = " ".join(response.text.split())[:300]
        message = f"{response.request.url} answered {response.status_code}: {text or 'no text'}"
    if response.status_code == 401:
        url = response.request.url
        message += f" Keep one with `regraft login --url {url.scheme}://{url.netloc.decode()}`."
    return RemoteError(message, response.status_code, document.get("problems", ()))


def _document(response: httpx.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
