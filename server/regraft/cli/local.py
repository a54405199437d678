"""The work of a command, done in this process on a home directory."""

from typing import Any

from regraft.adaptations.context import Context
from regraft.adaptations.live import describe_live
from regraft.adaptations.queries import describe, listing, read_rows, show_source, show_version
from regraft.adaptations.request import check_request
from regraft.adaptations.run import run
from regraft.domain import JSON, AdaptationSpec, Mode, Placement
from regraft.errors import InvalidInputError
from regraft.plugins import Plugins
from regraft.registry.endpoint_table import Route
from regraft.registry.store import Registry
from regraft.serving.predictor import Opener
from regraft.serving.sessions import Runtime, available_cpus
from regraft.settings import Settings


class LocalBackend:
    """No server: the registry is opened here, and Ray is started when a strategy needs it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.registry = Registry.of(settings)
        self.plugins = Plugins.load()

    def adapt(self, spec: AdaptationSpec, detach: bool, show: Any) -> JSON:
        if detach:
            raise InvalidInputError("--detach needs a server: start one with `regraft serve`.")
        from regraft.training.cluster import check_workers

        check_request(spec, self.plugins)
        check_workers(spec.workers, self.settings)
        self.registry.blobs.check()
        adaptation, _ = self.registry.runs.submit(spec)
        context = Context(
            adaptation,
            self.registry,
            self.plugins,
            self.settings,
            listen=lambda event: show(event.kind, event.data),
        )
        return run(context).result or {}

    def listing(self, kind: str) -> list[JSON]:
        return listing(kind, self.registry, self.plugins)

    def source(self, reference: str) -> JSON:
        return show_source(reference, self.plugins)

    def model(self, name: str, version: int | None) -> JSON:
        return show_version(self.registry, name, version)

    def delete_version(self, name: str, version: int) -> None:
        self.registry.removal.delete(name, version)

    def dataset(self, identifier: str) -> JSON:
        return self.registry.uploads.get(identifier).as_dict()

    def delete_dataset(self, identifier: str) -> None:
        self.registry.uploads.delete(identifier)

    def adaptation(self, identifier: str) -> JSON:
        return self.registry.runs.get(identifier).as_dict()

    def cancel(self, identifier: str) -> JSON:
        return self.registry.runs.request_cancel(identifier).as_dict()

    def endpoint(self, name: str) -> JSON:
        return self.registry.models.endpoint(name).as_dict()

    def promote(self, name: str, version: int, force: bool = False) -> JSON:
        return self.registry.models.promote(name, version, force).as_dict()

    def roll_back(self, name: str) -> JSON:
        return self.registry.models.roll_back(name).as_dict()

    def try_out(self, name: str, version: int, mode: Mode, share: float, force: bool) -> JSON:
        return self.registry.rollouts.try_out(name, version, mode, share, force).as_dict()

    def place(self, name: str, wanted: Placement) -> JSON:
        return self.registry.rollouts.place(name, wanted).as_dict()

    def end_endpoint(self, name: str) -> None:
        self.registry.removal.end(name)

    def history(self, name: str) -> list[JSON]:
        return [one.as_dict() for one in self.registry.rollouts.history(name)]

    def live(self, name: str) -> list[JSON]:
        return describe_live(self.registry, name)

    def predict(self, endpoint: str, inputs: list[Any]) -> JSON:
        """Answer without a server, by the same code that serves."""
        served = self.registry.models.endpoint(endpoint)
        version = self.registry.models.version(endpoint, served.version)
        opener = Opener(self.registry.blobs, self.plugins, Runtime(available_cpus()))
        predictor = opener.open(Route(endpoint, served.version, version.manifest.sha256))
        rows = read_rows(predictor.task, inputs)
        return describe(endpoint, served.version, predictor.task.answers(predictor.predict(rows)))
