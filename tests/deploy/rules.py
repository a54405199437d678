"""What an apiserver takes and then the operator, Ray or the first bad day does not.

Each rule tells what is wrong with the objects of one release.
"""

import json
import re
import shlex
from collections.abc import Callable, Iterator

import yaml

from tests.deploy.pods import Object, Objects, cluster, nested, of_kind, pods, selects, service

Complaints = Iterator[str]

LONGEST_NAME = 47
NAME = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
UPGRADES = {"NewCluster", "NewClusterWithIncrementalUpgrade", "None"}
CONFIG_KEYS = {"proxy_location", "http_options", "grpc_options", "applications"}
OPTION_KEYS = {"host", "port", "grpc_servicer_functions", "enable_reflection"}
APPLICATION_KEYS = {"name", "route_prefix", "import_path"}
APPLICATIONS = {
    ("control", "/", "regraft.deployed:control"),
    ("pool", "/v2", "regraft.deployed:pool"),
}
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY|DATABASE")
AGENT_PORT = 52365
"""Of Ray's agent, which no container declares."""
IN_IMAGE = {"bash", "wget"}
RAY_ENDS = 31
"""Seconds that Ray takes to end."""
OLDEST_RAY = (2, 52)


def names_are_short(objects: Objects) -> Complaints:
    name = service(objects)["metadata"]["name"]
    if len(name) > LONGEST_NAME or not NAME.fullmatch(name):
        yield f"a RayService cannot be called {name}"


def upgrade_is_known(objects: Objects) -> Complaints:
    strategy = service(objects)["spec"]["upgradeStrategy"]
    options = strategy.get("clusterUpgradeOptions")
    if strategy["type"] not in UPGRADES:
        yield f"no upgrade is called {strategy['type']}"
    if strategy["type"] == "NewClusterWithIncrementalUpgrade":
        if not options or not cluster(objects).get("enableInTreeAutoscaling"):
            yield "an incremental upgrade needs its options and the autoscaler"
        elif options["stepSizePercent"] > options.get("maxSurgePercent", 100):
            yield "a step is greater than the surge"


def groups_have_room(objects: Objects) -> Complaints:
    scales = cluster(objects).get("enableInTreeAutoscaling", False)
    for group in cluster(objects)["workerGroupSpecs"]:
        low, now, high = (group[key] for key in ("minReplicas", "replicas", "maxReplicas"))
        if not 0 <= low <= now <= high or high == 0:
            yield f"{group['groupName']} cannot have {low} to {high} pods, and {now} now"
        if low < high and not scales:
            yield f"nothing starts the pods of {group['groupName']}"
        if group["groupName"] == "serve" and low < 2:
            yield "one pod that answers is one too few"


def numbers_take_effect(objects: Objects) -> Complaints:
    """The operator compares the pods of a changed RayService, and not how many there are."""
    for group in cluster(objects)["workerGroupSpecs"]:
        told = group["template"]["metadata"].get("annotations", {}).get("regraft-pods")
        if told != f"{group['minReplicas']} to {group['maxReplicas']}":
            yield f"a change of the number of {group['groupName']} would go unseen"


def applications_are_known(objects: Objects) -> Complaints:
    try:
        config = yaml.safe_load(service(objects)["spec"]["serveConfigV2"])
    except yaml.YAMLError as error:
        yield f"serveConfigV2 cannot be read: {error}"
        return
    yield from (f"serveConfigV2 has no {key}" for key in _unknown_keys(config))
    found = config.get("applications", [])
    named = {tuple(a.get(key) for key in ("name", "route_prefix", "import_path")) for a in found}
    if named != APPLICATIONS:
        yield "the applications are others than those of regraft.deployed"
    if config.get("proxy_location") != "EveryNode":
        yield "not every node has an entry"


def _unknown_keys(config: Object) -> Iterator[str]:
    """Ray takes keys that it does not know without a word."""
    yield from config.keys() - CONFIG_KEYS
    yield from config.get("http_options", {}).keys() - OPTION_KEYS
    yield from config.get("grpc_options", {}).keys() - OPTION_KEYS
    for application in config.get("applications", []):
        yield from application.keys() - APPLICATION_KEYS


def start_parameters_are_texts(objects: Objects) -> Complaints:
    """They become options of `ray start`, in a shell."""
    ray = cluster(objects)
    for group in [ray["headGroupSpec"], *ray["workerGroupSpecs"]]:
        name, given = group.get("groupName", "head"), group["rayStartParams"]
        yield from (f"{name}: {k} is no text" for k, v in given.items() if not isinstance(v, str))
        if name == "head" and given.get("num-cpus") != "0":
            yield "the head takes work"
        if name != "head" and not resources_of(given.get("resources", "")):
            yield f"{name}: what the pods are for cannot be read"


def resources_of(text: str) -> dict[str, float]:
    """Of the option as a shell reads it; none if it cannot."""
    try:
        return json.loads(shlex.split(text)[0])
    except (ValueError, IndexError):
        return {}


def selectors_find_pods(objects: Objects) -> Complaints:
    for found in objects:
        for key in ("selector", "podSelector", "labelSelector"):
            for part in nested(found):
                chosen = part.get(key) if isinstance(part, dict) else None
                if chosen is not None and not any(selects(chosen, p.labels) for p in pods(objects)):
                    yield f"{found['kind']}: {key} finds no pod"


def disruptions_spare_one_that_serves(objects: Objects) -> Complaints:
    budgets = of_kind(objects, "PodDisruptionBudget")
    if len(budgets) != 1:
        yield "there is not one PodDisruptionBudget"
    for spec in (budget["spec"] for budget in budgets):
        groups = {pod.group for pod in pods(objects) if selects(spec["selector"], pod.labels)}
        if groups != {"serve"} or spec.get("minAvailable", 0) < 1:
            yield f"of {groups} {spec.get('minAvailable', 0)} are kept"


def containers_have_limits(objects: Objects) -> Complaints:
    for pod in pods(objects):
        limits = pod.container.get("resources", {}).get("limits", {})
        missing = {"cpu", "memory"} - limits.keys()
        yield from (f"{pod.group} has no limit of {name}" for name in missing)
        if pod.group == "gpu" and not (limits.get("nvidia.com/gpu") and pod.spec["tolerations"]):
            yield "the pods with GPUs ask for none, or are not let onto their nodes"


def ports_are_there(objects: Objects) -> Complaints:
    ports = [port for pod in pods(objects) for port in pod.container["ports"]]
    named, numbers = {p["name"] for p in ports}, {p["containerPort"] for p in ports}
    for monitor in of_kind(objects, "PodMonitor"):
        asked = {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]}
        yield from (f"no port is called {port}" for port in asked - named)
    for policy in of_kind(objects, "NetworkPolicy"):
        let_in = {p["port"] for rule in policy["spec"]["ingress"] for p in rule.get("ports", [])}
        yield from (f"nothing listens on {port}" for port in let_in - numbers - {AGENT_PORT})
    if not {("serve", 8000), ("serve-grpc", 8001)} <= {
        (port["name"], port["containerPort"]) for port in pods(objects)[0].container["ports"]
    }:
        yield "the operator makes the service of the head's ports serve and serve-grpc"


def mounts_are_declared(objects: Objects) -> Complaints:
    autoscaler = cluster(objects).get("autoscalerOptions", {}).get("volumeMounts", [])
    for pod in pods(objects):
        mounts = pod.container["volumeMounts"] + (autoscaler if pod.head else [])
        there = {volume["name"] for volume in pod.spec["volumes"]}
        missing = {mount["name"] for mount in mounts} - there
        yield from (f"{pod.group} has no volume {name}" for name in missing)
        paths = {mount["mountPath"] for mount in pod.container["volumeMounts"]}
        if not {"/tmp", pod.env["REGRAFT_HOME"]} <= paths:
            yield f"{pod.group} cannot write to its home or to /tmp"


def homes_are_shared(objects: Objects) -> Complaints:
    claims = {
        volume["persistentVolumeClaim"]["claimName"]
        for pod in pods(objects)
        for volume in pod.spec["volumes"]
        if volume["name"] == "home"
    }
    if len(claims) != 1:
        yield f"the pods have {len(claims)} homes"
    for claim in of_kind(objects, "PersistentVolumeClaim"):
        if claim["metadata"]["name"] not in claims:
            yield "nobody mounts the claim"
        if claim["spec"]["accessModes"] != ["ReadWriteMany"]:
            yield "one node alone can mount the home"


def secrets_are_references(objects: Objects) -> Complaints:
    yield from ("a secret is in the release" for _ in of_kind(objects, "Secret"))
    for part in nested(objects):
        if not isinstance(part, dict):
            continue
        name = str(part.get("name", ""))
        if "value" in part and SECRET.search(name):
            yield f"{name} is told"
        if "redisPassword" in part and "secretKeyRef" not in part["redisPassword"].get(
            "valueFrom", {}
        ):
            yield "the password of Redis is told"


def tokens_are_asked_for(objects: Objects) -> Complaints:
    ray = cluster(objects)
    options = ray.get("authOptions", {})
    if options.get("mode") != "token" or not options.get("secretName"):
        yield "Ray lets anybody in"
    if options.get("enableK8sTokenAuth"):
        yield "the operator refuses tokens of Kubernetes for a RayService"
    if tuple(int(part) for part in ray["rayVersion"].split(".")[:2]) < OLDEST_RAY:
        yield f"Ray {ray['rayVersion']} knows no tokens"


def pods_are_confined(objects: Objects) -> Complaints:
    ray = cluster(objects)
    for pod in pods(objects):
        of_pod = pod.spec.get("securityContext", {})
        if not of_pod.get("runAsNonRoot") or not of_pod.get("runAsUser"):
            yield f"{pod.group} runs as root"
        if not _confined(pod.container):
            yield f"{pod.group} may write to its image or gain rights"
        if not pod.head and pod.spec.get("automountServiceAccountToken", True):
            yield f"{pod.group} can speak to the apiserver"
    if ray.get("enableInTreeAutoscaling") and not _confined(ray["autoscalerOptions"]):
        yield "the autoscaler may write to its image or gain rights"


def _confined(container: Object) -> bool:
    found = container.get("securityContext", {})
    return (
        found.get("readOnlyRootFilesystem") is True
        and found.get("allowPrivilegeEscalation") is False
        and found.get("capabilities", {}).get("drop") == ["ALL"]
    )


def pods_take_their_leave(objects: Objects) -> Complaints:
    for pod in pods(objects):
        grace = pod.spec.get("terminationGracePeriodSeconds", 30)
        hook = pod.container.get("lifecycle", {}).get("preStop", {}).get("exec", {})
        script = " ".join(hook.get("command", []))
        if not pod.head and "ray drain-node" not in script:
            yield f"replicas of {pod.group} are not moved before it ends"
        slept = sum(int(seconds) for seconds in re.findall(r"sleep (\d+)", script))
        if grace <= 60 or grace < slept + RAY_ENDS:
            yield f"{pod.group} is killed while it answers"


def probes_can_be_asked(objects: Objects) -> Complaints:
    """The operator's own need bash and wget. A worker is alive though it does not answer."""
    for pod in pods(objects):
        probes = {k: v for k, v in pod.container.items() if k.endswith("Probe")}
        programs = {p["exec"]["command"][0] for p in probes.values() if "exec" in p}
        yield from (f"{pod.group}: the image has no {name}" for name in programs - IN_IMAGE)
        if "livenessProbe" in probes and probes.get("readinessProbe") == probes["livenessProbe"]:
            yield f"{pod.group} is ended where it is only not ready"


def autoscaler_can_replace(objects: Objects) -> Complaints:
    options = cluster(objects).get("autoscalerOptions", {})
    if cluster(objects).get("enableInTreeAutoscaling") and options.get("version") != "v2":
        yield "the first autoscaler ends all workers when the apiserver is late"
    for pod in pods(objects):
        if pod.spec.get("restartPolicy", "Never") != "Never":
            yield f"{pod.group} restarts, which the autoscaler refuses"


def head_is_kept_in_one_place(objects: Objects) -> Complaints:
    annotations = service(objects)["metadata"].get("annotations", {})
    if "ray.io/ft-enabled" in annotations or "RAY_REDIS_ADDRESS" in pods(objects)[0].env:
        yield "fault tolerance of the head is asked for in the old way"
    options = cluster(objects).get("gcsFaultToleranceOptions", {})
    if options.get("backend", "redis") != "redis":
        yield f"{options['backend']} is not stable"
    if "externalStorageNamespace" in options:
        yield "two clusters of an upgrade would share their state"


Rule = Callable[[Objects], Complaints]
RULES: tuple[Rule, ...] = (
    names_are_short,
    upgrade_is_known,
    groups_have_room,
    numbers_take_effect,
    applications_are_known,
    start_parameters_are_texts,
    selectors_find_pods,
    disruptions_spare_one_that_serves,
    containers_have_limits,
    ports_are_there,
    mounts_are_declared,
    homes_are_shared,
    secrets_are_references,
    tokens_are_asked_for,
    pods_are_confined,
    pods_take_their_leave,
    probes_can_be_asked,
    autoscaler_can_replace,
    head_is_kept_in_one_place,
)
