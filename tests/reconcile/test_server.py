"""A server's URL, and what it ends. Nothing here starts Ray."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.serve._private.haproxy import HAProxyConfig
from ray.serve.config import HTTPOptions

from regraft.errors import InvalidInputError
from regraft.reconcile import applications
from regraft.reconcile.ports import is_loopback
from regraft.reconcile.server import _end_applications, _listening, _ports, _reachable
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
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1:80"),
        ("0.0.0.0", "127.0.0.1:80"),
        ("localhost", "localhost:80"),
        ("::1", "[::1]:80"),
        ("::", "[::1]:80"),
    ],
)
def test_the_address_is_one_that_this_machine_can_ask(host: str, address: str) -> None:
    assert _reachable(host, 80) == address


def test_grpc_has_a_port_of_its_own() -> None:
    assert _ports(Settings(port=8000)) == (8000, 8001)
    assert _ports(Settings(port=8000, grpc_port=9000)) == (8000, 9000)
    assert len(set(_ports(Settings(port=0)))) == 2
    assert 8001 not in _ports(Settings(port=0))
    with pytest.raises(InvalidInputError, match="cannot share port 8000"):
        _ports(Settings(port=8000, grpc_port=8000))


@pytest.mark.parametrize(
    ("host", "local"), [("127.0.0.1", True), ("::1", True), ("0.0.0.0", False)]
)
def test_a_loopback_address_is_known(host: str, local: bool) -> None:
    assert is_loopback(host) is local


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


def test_applications_that_stand_as_wanted_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Serve would replace each of their replicas, though nothing is new."""
    states = {applications.POOL: "RUNNING", applications.CONTROL: "RUNNING"}
    found = {name: SimpleNamespace(status=state) for name, state in states.items()}
    known = SimpleNamespace(status=lambda: SimpleNamespace(applications=found))
    monkeypatch.setattr(applications, "serve", known)
    record, settings = tmp_path / "deployed", Settings(home=tmp_path)
    assert not applications.stands(record, settings), "nobody knows what they are"
    applications.note(record, settings)
    assert applications.stands(record, settings)
    assert not applications.stands(record, settings.model_copy(update={"replicas": 3}))
    assert str(tmp_path) not in record.read_text()
    found[applications.CONTROL].status = "DEPLOY_FAILED"
    assert not applications.stands(record, settings)
    del found[applications.CONTROL]
    assert not applications.stands(record, settings)
