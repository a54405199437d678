"""What rules look at in rendered objects: the RayService and the pods that it asks for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
Objects = list[Object]


@dataclass(frozen=True)
class Pod:
    """The template of the head's pod, or of a worker group's."""

    group: str
    template: Object

    @property
    def head(self) -> bool:
        return self.group == "head"

    @property
    def spec(self) -> Object:
        return self.template["spec"]

    @property
    def container(self) -> Object:
        """Ray's, which is the first."""
        return self.spec["containers"][0]

    @property
    def env(self) -> dict[str, Any]:
        """Texts, or for what is taken from elsewhere where that is."""
        return {e["name"]: e.get("value", e.get("valueFrom")) for e in self.container["env"]}

    @property
    def labels(self) -> dict[str, str]:
        """With those that the operator adds."""
        kind = "head" if self.head else "worker"
        ours = self.template["metadata"]["labels"]
        return {**ours, "ray.io/node-type": kind, "ray.io/group": self.group}


def of_kind(objects: Objects, kind: str) -> Objects:
    return [found for found in objects if found["kind"] == kind]


def service(objects: Objects) -> Object:
    return of_kind(objects, "RayService")[0]


def cluster(objects: Objects) -> Object:
    return service(objects)["spec"]["rayClusterConfig"]


def pods(objects: Objects) -> list[Pod]:
    ray = cluster(objects)
    head = Pod("head", ray["headGroupSpec"]["template"])
    return [head, *(Pod(g["groupName"], g["template"]) for g in ray["workerGroupSpecs"])]


def group(objects: Objects, name: str) -> Object:
    return next(g for g in cluster(objects)["workerGroupSpecs"] if g["groupName"] == name)


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Of expressions those with `In` are known."""
    wanted = selector.get("matchLabels", {}).items()
    among = ((e["key"], e["values"]) for e in selector.get("matchExpressions", []))
    return all(labels.get(k) == v for k, v in wanted) and all(labels.get(k) in v for k, v in among)


def nested(value: Any) -> Iterator[Any]:
    """It, and all that is in it."""
    yield value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        yield from nested(part)
