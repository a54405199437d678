"""All checks, one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass

from regraft.doctor import home, machine
from regraft.doctor.finding import Check, Finding, Patient
from regraft.domain import JSON
from regraft.settings import Settings

REGISTRY = "registry"
CHECKS: dict[str, Check] = {
    "disk": home.disk,
    REGISTRY: home.opens,
    "database": home.database,
    "blobs": home.blobs,
    "endpoint table": home.endpoint_table,
    "keys": home.keys,
    "adaptations": home.adaptations,
    "leftovers": home.leftovers,
    "Ray": machine.ray,
    "HAProxy": machine.haproxy,
    "onnxruntime": machine.runtime,
    "plugins": machine.plugins,
    "listening": machine.listening,
}
OPENED = ("database", "blobs", "endpoint table", "keys", "adaptations", "listening")
"""What can only be looked at where the registry opens."""


@dataclass(frozen=True)
class Examined:
    """What one check found."""

    check: str
    findings: tuple[Finding, ...]

    def as_dict(self) -> JSON:
        return {"check": self.check, "findings": [one.as_dict() for one in self.findings]}


def examine(settings: Settings) -> Iterator[Examined]:
    """Each check with what it found; one that cannot be made has found that."""
    patient = Patient(settings)
    patient.registry()  # makes the home, if there is none
    opens = True
    for name, check in CHECKS.items():
        if name in OPENED and not opens:
            continue
        try:
            findings = tuple(check(patient))
        except Exception as error:  # noqa: BLE001 - whatever is broken breaks its check too
            mend = "Mend what the other checks found, then look again."
            findings = (Finding(f"{type(error).__name__}: {error}", mend),)
        opens = opens and not (name == REGISTRY and findings)
        yield Examined(name, findings)
