"""A client of the HTTP API."""


class Client:
    """Stub."""
