"""Which port is free, whether one is, and who holds it."""

import errno
import ipaddress
import os
import socket

import psutil

from regraft.errors import InvalidInputError

HEAD_SECONDS = 5


def require_free_port(host: str, port: int) -> None:
    """Returns where `host:port` can be listened on; else InvalidInputError that says why not.

    Port 0 is always free: the system chooses.
    """
    _listen(host, port)


def free_port(host: str) -> int:
    """A port on which `host` can be listened on now. Raises InvalidInputError if there is none."""
    return _listen(host, 0)


def require_head(address: str) -> None:
    """Returns where a Ray head may be at HOST:PORT; else InvalidInputError: Ray itself would try
    for more than a minute."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise InvalidInputError(f"--address is HOST:PORT of the head, not '{address}'.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), HEAD_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise InvalidInputError(
            f"Nothing answers at {address} ({error}): is that the head's --host and --port? "
            "`regraft node` without --address starts one."
        ) from error


def _listen(host: str, port: int) -> int:
    family, kind, protocol, _, address = resolve_address(host, port)
    with socket.socket(family, kind, protocol) as listener:
        # As servers do: a connection that is merely winding down holds nothing.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError as error:
            raise InvalidInputError(_refusal(host, port, error)) from error
        return int(listener.getsockname()[1])


def is_loopback(host: str) -> bool:
    """Whether none but this machine reaches who listens on `host`."""
    address = str(resolve_address(host, 0)[4][0])
    return ipaddress.ip_address(address).is_loopback


def resolve_address(host: str, port: int) -> tuple[int, int, int, str, tuple[object, ...]]:
    """What `socket.getaddrinfo` says of an address to listen on: family, kind, protocol, canonical
    name, address. Raises InvalidInputError for an unknown host."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise InvalidInputError(f"No such host to listen on: '{host}' ({error}).") from error
    # HAProxy prefers IPv4 for a name such as localhost.
    return min(found, key=lambda entry: entry[0] != socket.AF_INET)


def _refusal(host: str, port: int, error: OSError) -> str:
    if error.errno != errno.EADDRINUSE:
        reason = os.strerror(error.errno) if error.errno else str(error)
        return f"Cannot listen on {host}:{port}: {reason}."
    return f"Port {port} on {host} is taken{_holder(port)}. Free it or choose another (--port)."


def _holder(port: int) -> str:
    # Whoever may not look (macOS without root) or comes too late learns only that it is taken.
    try:
        pid = _listener(port)
        if pid is None:
            return ""
        return f" by process {pid} ({' '.join(psutil.Process(pid).cmdline())[:200]})"
    except psutil.Error:
        return ""


def _listener(port: int) -> int | None:
    for connection in psutil.net_connections("tcp"):
        listens = connection.status == psutil.CONN_LISTEN
        if listens and connection.laddr.port == port and connection.pid is not None:
            pid: int = connection.pid
            return pid
    return None
