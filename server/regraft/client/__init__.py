"""A client of the HTTP API, for the command line and for other people's programs."""

from regraft.client.client import Client
from regraft.client.failures import RemoteError, UnreachableError

__all__ = ["Client", "RemoteError", "UnreachableError"]
