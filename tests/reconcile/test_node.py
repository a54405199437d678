"""The command and the environment of a Ray node."""

from pathlib import Path

import pytest

from regraft.errors import InvalidInputError
from regraft.reconcile.node import Node, become
from regraft.settings import Settings


def settings(home: Path) -> Settings:
    return Settings(home=home, host="10.0.0.2", ray_temp_dir=Path("/tmp/r"))


def test_a_head_listens_and_does_no_work_unless_told(tmp_path: Path) -> None:
    command = Node(settings(tmp_path), cpus=0).command()
    assert command[2:5] == ["ray.scripts.scripts", "start", "--block"]
    for option in ("--head", "--port=6379", "--num-cpus=0", "--node-ip-address=10.0.0.2"):
        assert option in command
    assert "--resources={}" in command


def test_who_joins_says_where_and_what_for(tmp_path: Path) -> None:
    command = Node(settings(tmp_path), "10.0.0.1:6379", roles=("serve", "train")).command()
    assert "--address=10.0.0.1:6379" in command
    assert '--resources={"serve": 1000, "train": 1000}' in command
    assert not {"--head", "--port=6379"} & set(command)


def test_nodes_of_one_home_have_one_token_and_heed_what_was_given(tmp_path: Path) -> None:
    one, other = (Node(settings(tmp_path)).environment({}) for _ in range(2))
    assert one["RAY_AUTH_MODE"] == "token"
    assert one["RAY_AUTH_TOKEN"] == other["RAY_AUTH_TOKEN"]
    assert one["RAY_health_check_period_ms"] == "1000"
    assert (tmp_path / "ray-token").stat().st_mode & 0o777 == 0o600
    given = {"RAY_AUTH_TOKEN_PATH": "/secret", "RAY_health_check_period_ms": "5000"}
    found = Node(settings(tmp_path)).environment(given)
    assert "RAY_AUTH_TOKEN" not in found
    assert found["RAY_health_check_period_ms"] == "5000"


def test_workers_reach_each_other_by_the_interface_of_the_address(tmp_path: Path) -> None:
    local = Settings(home=tmp_path, host="127.0.0.1")
    assert Node(local).environment({})["GLOO_SOCKET_IFNAME"].startswith("lo")
    assert "GLOO_SOCKET_IFNAME" not in Node(settings(tmp_path)).environment({})


@pytest.mark.parametrize(
    ("host", "address", "message"),
    [
        ("127.0.0.1", "ray://head", "HOST:PORT of the head, not 'ray://head'"),
        ("127.0.0.1", "head", "HOST:PORT of the head, not 'head'"),
        ("127.0.0.1", "127.0.0.1:1", "Nothing answers at 127.0.0.1:1 .*refused.*regraft node"),
        ("127.0.0.1", "127.0.0.1:99999", "Nothing answers at 127.0.0.1:99999"),
        ("nowhere.invalid", None, "No such host to listen on: 'nowhere.invalid'"),
    ],
)
def test_a_host_or_a_head_that_there_is_not_is_told(
    tmp_path: Path, host: str, address: str | None, message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        become(Node(Settings(home=tmp_path, host=host), address))
