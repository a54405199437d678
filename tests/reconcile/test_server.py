"""A server's URL, and what it ends. Nothing here starts Ray."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from ray.serve._private.haproxy import HAProxyConfig
from ray.serve.config import HTTPOptions

from regraft.reconcile.server import _end_applications, _listening, _url
from regraft.settings import Settings


@dataclass
class Serve:
    """Writes down what it is asked to end."""

    names: tuple[str, ...]
    ended: list[str] = field(default_factory=list)

    def status(self) -> Any:
        return SimpleNamespace(applications=dict.fromkeys(self.names))

    def delete(self, name: str) -> None:
        self.ended.append(name)

    def shutdown(self) -> None:
        self.ended.append("everything")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("localhost", "http://localhost:80"),
        ("::1", "http://[::1]:80"),
        ("::", "http://[::1]:80"),
    ],
)
def test_the_url_is_one_that_this_machine_can_ask(host: str, url: str) -> None:
    assert _url(host, 80) == url


def test_all_addresses_of_ipv6_reach_haproxy_as_they_are() -> None:
    options = HTTPOptions(host=_listening(Settings(host="::")).host, port=8000)
    assert HAProxyConfig(http_options=options).frontend_host == "::0"
    assert _listening(Settings(host="::1")).host == "::1"


def test_applications_of_others_on_a_joined_cluster_go_on() -> None:
    serve = Serve(("pool", "control", "theirs"))
    _end_applications(serve, joined=True)
    assert sorted(serve.ended) == ["control", "pool"]


def test_a_start_that_failed_on_a_joined_cluster_leaves_nothing_to_end() -> None:
    serve = Serve(("theirs",))
    _end_applications(serve, joined=True)
    assert serve.ended == []


def test_a_cluster_of_our_own_ends_whole() -> None:
    serve = Serve(("pool", "control"))
    _end_applications(serve, joined=False)
    assert serve.ended == ["everything"]
