"""The environment that Ray is started with."""

from pathlib import Path

import pytest

from regraft.reconcile.environment import (
    INSTANCE,
    LONGEST_FOLDER,
    Instance,
    alone_environment,
    ingress_note,
    serve_environment,
)
from regraft.reconcile.haproxy_launcher import real_binary

needs_haproxy = pytest.mark.skipif(real_binary() is None, reason="no HAProxy on this platform")


@pytest.fixture
def instance() -> Instance:
    return Instance(Path("/srv/home"), Path("/tmp/ray-dir"), largest_message=2**26)


@needs_haproxy
def test_requests_go_through_haproxy_and_are_replayed(instance: Instance) -> None:
    variables = serve_environment(instance, given={})
    assert variables["RAY_SERVE_ENABLE_HA_PROXY"] == "1"
    assert variables["RAY_SERVE_THROUGHPUT_OPTIMIZED"] == "1"
    assert "empty-response" in variables["RAY_SERVE_HAPROXY_RETRY_ON"]
    assert int(variables["RAY_SERVE_HAPROXY_TUNE_BUFSIZE"]) > 200_000


@needs_haproxy
@pytest.mark.parametrize(("processors", "threads"), [(2, "1"), (8, "2"), (64, "4")])
def test_haproxy_has_threads_by_the_processors_that_there_are_for_us(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, processors: int, threads: str
) -> None:
    monkeypatch.setattr("regraft.reconcile.environment.available_cpus", lambda: processors)
    assert serve_environment(instance, {})["RAY_SERVE_HAPROXY_NBTHREAD"] == threads


@needs_haproxy
def test_what_the_user_set_is_left_alone(instance: Instance) -> None:
    given = {"RAY_SERVE_HAPROXY_RETRY_ON": "none", "RAY_SERVE_HAPROXY_STATS_PORT": "8404"}
    assert serve_environment(instance, given).keys().isdisjoint(given)


def test_rays_own_figures_are_kept_where_the_user_wants_them() -> None:
    spared = alone_environment({})
    assert spared["RAY_enable_metrics_collection"] == "false"
    assert alone_environment(dict.fromkeys(spared, "user's")) == {}


def test_the_marker_is_ours_even_inside_another_server(instance: Instance) -> None:
    assert serve_environment(instance, {INSTANCE: "another"})[INSTANCE] == instance.id


def test_without_haproxy_its_flags_are_left_out(instance: Instance) -> None:
    variables = serve_environment(instance, given={}, find_haproxy=lambda: None)
    assert not [name for name in variables if "HAPROXY" in name or "HA_PROXY" in name]
    assert variables[INSTANCE] == instance.id
    assert "Python proxy" in (ingress_note(lambda: None) or "")


@needs_haproxy
def test_private_ports_differ(instance: Instance) -> None:
    variables = serve_environment(instance, given={})
    ports = [value for name, value in variables.items() if name.endswith("_PORT")]
    assert len(ports) == len(set(ports)) == 4


@needs_haproxy
def test_haproxys_files_lie_under_rays_unless_that_is_too_long() -> None:
    short, deep = Path("/tmp/short"), Path("/tmp") / ("x" * 60)
    name = "RAY_SERVE_HAPROXY_SOCKET_PATH"
    assert serve_environment(Instance(short, short, 1), {})[name].startswith("/tmp/short/")
    folder = Path(serve_environment(Instance(short, deep, 1), {})[name]).parent
    assert len(str(folder)) <= LONGEST_FOLDER


def test_the_instance_follows_from_the_home_alone(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    same = Instance(tmp_path / "link", Path("/tmp/a"), 1)
    assert same.id == Instance(tmp_path, Path("/tmp/b"), 2).id
    assert same.id != Instance(tmp_path / "other", Path("/tmp/a"), 1).id
