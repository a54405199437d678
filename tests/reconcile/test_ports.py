"""Whether a port can be had, and the message when it cannot."""

import os
import socket
from collections.abc import Iterator

import pytest

from regraft.errors import InvalidInputError
from regraft.reconcile.ports import free_port, require_free_port


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="no IPv6 on this machine")


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_taken_port_is_named_with_its_holder(taken: int) -> None:
    with pytest.raises(InvalidInputError, match=f"{taken}.*process {os.getpid()} "):
        require_free_port("127.0.0.1", taken)


def test_a_port_taken_on_one_interface_is_not_free_on_all(taken: int) -> None:
    with pytest.raises(InvalidInputError, match="taken"):
        require_free_port("0.0.0.0", taken)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_a_free_port_is_no_error(host: str) -> None:
    require_free_port(host, 0)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"Cannot listen on 192\.0\.2\.77:"):
        require_free_port("192.0.2.77", 8000)


def test_an_unknown_host_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="No such host"):
        require_free_port("no host", 8000)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "0.0.0.0", *(pytest.param(host, marks=needs_ipv6) for host in ("::1", "::"))],
)
def test_a_port_is_chosen_in_the_family_of_the_host(host: str) -> None:
    port = free_port(host)
    assert port > 0
    require_free_port(host, port)
