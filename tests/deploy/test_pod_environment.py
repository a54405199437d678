"""What pods are told agrees with the code that they run."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from regraft import deployed
from regraft.reconcile.applications import GRPC_SERVICES
from regraft.reconcile.environment import INSTANCE, Instance, serve_environment
from regraft.reconcile.node import HEALTH
from regraft.reconcile.server import check_exposure
from regraft.settings import Settings
from regraft.training.cluster import ENVIRONMENT, PLENTY, ROLES
from tests.deploy.chart import CASES, CHART, helm, objects_of, text_of, values_of
from tests.deploy.pods import Objects, Pod, cluster, of_kind, pods, service
from tests.deploy.rules import resources_of
from tests.deploy.series import told

BINARY, THREADS = "RAY_SERVE_HAPROXY_BINARY_PATH", "RAY_SERVE_HAPROXY_NBTHREAD"
PORTS = frozenset(
    f"RAY_SERVE_{name}_PORT"
    for name in ("HAPROXY_METRICS", "HAPROXY_STATS", "FALLBACK_PROXY_HTTP", "FALLBACK_PROXY_GRPC")
)
# The chart's own, or of commands.
NOT_TO_SET = {
    *(
        "home",
        "database",
        "artifacts",
        "node_cache",
        "roles",
        "ray_temp_dir",
        "threads",
        "replicas",
        "replicas_per_node",
    ),
    *("host", "port", "grpc_port", "auth", "url", "address"),
}


def expected(pod: Pod) -> dict[str, str]:
    """Without the marker, by which a server finds its processes on a machine of several."""
    env = pod.env
    home, temporary = Path(env["REGRAFT_HOME"]), Path(env["REGRAFT_RAY_TEMP_DIR"])
    instance = Instance(home, temporary, int(env.get("REGRAFT_MAX_BODY", Settings().max_body)))
    found = HEALTH | ENVIRONMENT | serve_environment(instance, {}, lambda: "/usr/sbin/haproxy")
    del found[INSTANCE]
    cpus = int(pod.container["resources"]["limits"]["cpu"])
    return found | {
        BINARY: "/opt/regraft/bin/regraft-haproxy",
        THREADS: str(max(1, min(4, cpus // 4))),
    }


def wrong_variables(objects: Objects) -> Iterator[str]:
    """Ports are any that differ."""
    for pod in pods(objects):
        env, wanted = pod.env, expected(pod)
        told = {name for name in env if name.startswith("RAY_")} | wanted.keys()
        fixed = told - PORTS
        yield from (f"{pod.group}: {n}" for n in fixed if env.get(n) != wanted.get(n))
        if len({int(env.get(name, 0)) for name in PORTS} - {0, 8000, 8001}) != len(PORTS):
            yield f"{pod.group}: ports of HAProxy"


@pytest.mark.parametrize("case", CASES)
def test_pods_have_the_environment_of_a_node(case: str) -> None:
    assert list(wrong_variables(objects_of(text_of(values_of(case))))) == []


@pytest.mark.parametrize(
    "name", ["RAY_SERVE_ENABLE_HA_PROXY", "RAY_health_check_period_ms", BINARY]
)
def test_a_variable_that_is_not_as_it_should_be_is_caught(name: str) -> None:
    objects = objects_of(text_of({}))
    next(e for e in pods(objects)[1].container["env"] if e["name"] == name)["value"] = "none"
    assert list(wrong_variables(objects)) == [f"serve: {name}"]


@pytest.mark.parametrize("case", CASES)
def test_settings_are_those_of_a_server_for_many(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in pods(objects_of(text_of(values_of(case))))[0].env.items():
        if name.startswith("REGRAFT_"):
            monkeypatch.setenv(name, value if isinstance(value, str) else "postgresql://there")
    settings = Settings()
    check_exposure(settings)
    assert (settings.auth, settings.roles) == (True, True)
    for name, value in values_of(case).get("settings", {}).items():
        assert getattr(settings, name) == value


def test_every_setting_can_be_given() -> None:
    with helm.Chart.load(CHART) as chart:
        known = chart.schema["properties"]["settings"]["properties"].keys()
    assert known == Settings.model_fields.keys() - NOT_TO_SET


def test_ray_takes_the_applications() -> None:
    config = ServeDeploySchema.model_validate(
        yaml.safe_load(service(objects_of(text_of({})))["spec"]["serveConfigV2"])
    )
    assert config.grpc_options.grpc_servicer_functions == [GRPC_SERVICES]
    for application in config.applications:
        module, _, name = application.import_path.partition(":")
        assert module == deployed.__name__
        assert callable(getattr(deployed, name))


@pytest.mark.parametrize("case", CASES)
def test_each_role_has_pods(case: str) -> None:
    values = values_of(case)
    ray = cluster(objects_of(text_of(values)))
    groups = {group.get("groupName", "head"): group for group in ray["workerGroupSpecs"]}
    params = {name: group["rayStartParams"] for name, group in groups.items()}
    params["head"] = ray["headGroupSpec"]["rayStartParams"]
    has = {name: resources_of(given.get("resources", "")) for name, given in params.items()}
    roles = has.values()
    assert {name for one in roles for name in one} == set(ROLES)
    if values.get("serve", {}).get("image"):
        assert (set(has["serve"]), set(has["head"])) == ({"serve"}, {"control"})
    else:
        assert "control" in has["serve"]
    assert {much for one in roles for much in one.values()} == {PLENTY}


def test_alerts_ask_for_series_that_there_are() -> None:
    [found] = of_kind(objects_of(text_of(values_of("ha-redis"))), "PrometheusRule")
    expressions = [rule["expr"] for group in found["spec"]["groups"] for rule in group["rules"]]
    asked = {name for text in expressions for name in re.findall(r"regraft_\w+", text)}
    assert asked
    assert asked <= told()
