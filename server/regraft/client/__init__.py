"""A client of the HTTP API, for the command line and for other people's programs."""

from regraft.client.async_client import AsyncClient
from regraft.client.client import Client
from regraft.client.failures import RemoteError, UnreachableError

__all__ = ["AsyncClient", "Client", "RemoteError", "UnreachableError"]
