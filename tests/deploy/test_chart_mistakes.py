"""Each planted mistake is caught by the check that is for it."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.deploy import rules
from tests.deploy.chart import CHART, helm, objects_of, text_of, values_of
from tests.deploy.pods import Object, Objects, cluster, group, of_kind, pods, service

Spoil = Callable[[Objects], Any]


def incremental(objects: Objects) -> None:
    options = {"stepSizePercent": 60, "maxSurgePercent": 50, "intervalSeconds": 5}
    service(objects)["spec"]["upgradeStrategy"] = {
        "type": "NewClusterWithIncrementalUpgrade",
        "clusterUpgradeOptions": options,
    }


def in_config(old: str, new: str) -> Spoil:
    def spoil(objects: Objects) -> None:
        spec = service(objects)["spec"]
        assert old in spec["serveConfigV2"]
        spec["serveConfigV2"] = spec["serveConfigV2"].replace(old, new)

    return spoil


def with_env(name: str, value: str) -> Spoil:
    return lambda objects: pods(objects)[0].container["env"].append({"name": name, "value": value})


def same_probes(objects: Objects) -> None:
    probe = {"httpGet": {"path": "/-/healthz", "port": 8000}}
    pods(objects)[1].container.update(livenessProbe=probe, readinessProbe=probe)


def probe_by_curl(objects: Objects) -> None:
    pods(objects)[1].container["readinessProbe"] = {"exec": {"command": ["curl", "localhost"]}}


def told_password(objects: Objects) -> None:
    cluster(objects)["gcsFaultToleranceOptions"]["redisPassword"] = {"value": "hunter2"}


def lost_label(objects: Objects) -> None:
    labels = group(objects, "serve")["template"]["metadata"]["labels"]
    labels["app.kubernetes.io/component"] = "server"


def budget_for_all(objects: Objects) -> None:
    selector = of_kind(objects, "PodDisruptionBudget")[0]["spec"]["selector"]
    del selector["matchLabels"]["app.kubernetes.io/component"]


def without_hook(objects: Objects) -> None:
    del group(objects, "serve")["template"]["spec"]["containers"][0]["lifecycle"]


def of_first(kind: str, change: Callable[[Object], Any]) -> Spoil:
    return lambda objects: change(of_kind(objects, kind)[0]["spec"])


SPOILT: list[tuple[rules.Rule, str, Spoil]] = [
    (rules.names_are_short, "minimal", lambda o: service(o)["metadata"].update(name="a" * 48)),
    (
        rules.upgrade_is_known,
        "minimal",
        lambda o: service(o)["spec"]["upgradeStrategy"].update(type="Rolling"),
    ),
    (rules.upgrade_is_known, "ha-redis", incremental),
    (rules.groups_have_room, "ha-redis", lambda o: group(o, "train").update(minReplicas=5)),
    (rules.groups_have_room, "minimal", lambda o: group(o, "serve").update(maxReplicas=9)),
    (rules.numbers_take_effect, "ha-redis", lambda o: group(o, "serve").update(maxReplicas=6)),
    (rules.applications_are_known, "minimal", in_config("import_path", "importPath")),
    (rules.applications_are_known, "minimal", in_config("applications:", "applications: [")),
    (rules.applications_are_known, "minimal", in_config("/v2", "/v3")),
    (
        rules.start_parameters_are_texts,
        "minimal",
        lambda o: group(o, "serve")["rayStartParams"].update({"num-cpus": 4}),
    ),
    (
        rules.start_parameters_are_texts,
        "minimal",
        lambda o: group(o, "serve")["rayStartParams"].update(resources='{"serve": 1000}'),
    ),
    (rules.selectors_find_pods, "minimal", lost_label),
    (rules.disruptions_spare_one_that_serves, "minimal", budget_for_all),
    (
        rules.containers_have_limits,
        "gpu",
        lambda o: pods(o)[-1].container["resources"]["limits"].pop("nvidia.com/gpu"),
    ),
    (
        rules.ports_are_there,
        "ha-redis",
        of_first("PodMonitor", lambda spec: spec["podMetricsEndpoints"][0].update(port="http")),
    ),
    (
        rules.ports_are_there,
        "network-policy",
        of_first("NetworkPolicy", lambda spec: spec["ingress"][2]["ports"][0].update(port=80)),
    ),
    (rules.mounts_are_declared, "gpu", lambda o: pods(o)[-1].spec["volumes"].pop()),
    (
        rules.homes_are_shared,
        "minimal",
        of_first("PersistentVolumeClaim", lambda spec: spec.update(accessModes=["ReadWriteOnce"])),
    ),
    (rules.secrets_are_references, "minimal", with_env("REGRAFT_DATABASE", "postgresql://u:p@h")),
    (rules.secrets_are_references, "ha-redis", told_password),
    (
        rules.tokens_are_asked_for,
        "minimal",
        lambda o: cluster(o)["authOptions"].update(mode="disabled"),
    ),
    (
        rules.pods_are_confined,
        "minimal",
        lambda o: pods(o)[1].container["securityContext"].pop("readOnlyRootFilesystem"),
    ),
    (
        rules.pods_are_confined,
        "minimal",
        lambda o: pods(o)[0].spec["securityContext"].update(runAsUser=0),
    ),
    (
        rules.pods_are_confined,
        "ha-redis",
        lambda o: cluster(o)["autoscalerOptions"].pop("securityContext"),
    ),
    (rules.pods_take_their_leave, "minimal", without_hook),
    (
        rules.pods_take_their_leave,
        "minimal",
        lambda o: pods(o)[1].spec.update(terminationGracePeriodSeconds=30),
    ),
    (rules.probes_can_be_asked, "minimal", same_probes),
    (rules.probes_can_be_asked, "minimal", probe_by_curl),
    (
        rules.autoscaler_can_replace,
        "ha-redis",
        lambda o: pods(o)[1].spec.update(restartPolicy="Always"),
    ),
    (rules.head_is_kept_in_one_place, "ha-redis", with_env("RAY_REDIS_ADDRESS", "redis:6379")),
]


@pytest.mark.parametrize(("rule", "case", "spoil"), SPOILT)
def test_a_rule_catches_it(rule: rules.Rule, case: str, spoil: Spoil) -> None:
    objects = objects_of(text_of(values_of(case)))
    before = copy.deepcopy(objects)
    spoil(objects)
    assert objects != before
    assert list(rule(objects))


def test_every_rule_has_its_mistake() -> None:
    assert {rule for rule, _, _ in SPOILT} == set(rules.RULES)


@pytest.mark.parametrize(
    "values",
    [
        {"replicas": 3},
        {"serve": {"replicas": 1}},
        {"serve": {"cpus": "4"}},
        {"upgrade": {"type": "Rolling"}},
        {"drain": {"graceSeconds": 30}},
        {"settings": {"host": "127.0.0.1"}},
        {"database": {"url": "postgresql://user:password@host/regraft"}},
        {"rayToken": {"secretName": ""}},
    ],
    ids=str,
)
def test_the_schema_refuses_it(values: Object) -> None:
    with helm.Chart.load(CHART) as chart, pytest.raises(helm.HelmValuesError):
        chart.validate_schema(values)


def test_fewer_pods_at_most_than_always_are_refused() -> None:
    with pytest.raises(helm.HelmRenderError, match=r"serve\.maxReplicas has to be"):
        text_of({"serve": {"replicas": 3}})
