"""The client of one server."""

import secrets
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from regraft.client.connection import Connection
from regraft.client.credentials import saved_key
from regraft.client.failures import RemoteError
from regraft.client.following import PAUSE, RUNS, follow, is_final, persist
from regraft.client.uploading import with_located_source, with_uploads
from regraft.domain import JSON, AdaptationSpec, Mode, Placement, State
from regraft.errors import CancelledRunError
from regraft.reference import located

Show = Callable[[str, JSON], None]

CANCEL_WAIT = 30.0
PAGE = 1000
"""Items of a list that are asked for at a time."""


class Client:
    """A server's work as methods; answers are the JSON of its API.

    Every method raises RemoteError with the status of what failed, or UnreachableError. Without a
    `key` that of `REGRAFT_API_KEY`, or the one that `regraft login` kept, is sent.
    """

    def __init__(self, url: str, timeout: float = 60.0, key: str | None = None) -> None:
        self.connection = Connection(url, timeout, key or saved_key(url))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.connection.http.close()

    def adapt(self, spec: AdaptationSpec, detach: bool, show: Show) -> JSON:
        """Upload the data files that `spec` names, submit it, and tell `show` of each event.

        Returns the result, or with `detach` the adaptation at once. A KeyboardInterrupt cancels
        the run. Raises DataError for a missing file, CancelledRunError for a cancelled run.
        """
        located = with_located_source(spec, self.connection)
        identifier, run = self._submit(with_uploads(located, self.connection))
        if detach:
            return run
        try:
            return self.outcome(identifier, show)
        except KeyboardInterrupt:
            raise self._cancelled(identifier) from None

    def outcome(self, identifier: str, show: Show = lambda kind, data: None) -> JSON:
        """The result of an adaptation once it has ended; `show` is told of each event until then.

        Raises CancelledRunError for one that was cancelled, RemoteError with its reason for one
        that failed.
        """
        return self._outcome(identifier, self._follow(identifier, show))

    def cancel(self, identifier: str) -> JSON:
        """Ask an adaptation to stop; one that has ended is left as it is."""
        return self.connection.ask("POST", _path("adaptations", identifier, "cancel"), json={})

    def listing(self, kind: str) -> list[JSON]:
        """All models, adaptations, endpoints, datasets, sources, tasks, strategies or plugins."""
        page = self.connection.ask("GET", _path(kind), params={"limit": PAGE})
        items: list[JSON] = page["items"]
        while page.get("next"):
            params = {"limit": PAGE, "cursor": page["next"]}
            page = self.connection.ask("GET", _path(kind), params=params)
            items += page["items"]
        return items

    def model(self, name: str, version: int | None) -> JSON:
        """A version with its report; the newest unless it is named."""
        parts = ("models", name) if version is None else ("models", name, "versions", str(version))
        return self.connection.ask("GET", _path(*parts))

    def delete_version(self, name: str, version: int) -> None:
        """Forget a version that neither answers nor is tried."""
        self.connection.ask("DELETE", _path("models", name, "versions", str(version)))

    def dataset(self, identifier: str) -> JSON:
        return self.connection.ask("GET", _path("datasets", identifier))

    def delete_dataset(self, identifier: str) -> None:
        """Delete an upload that no adaptation needs any more."""
        self.connection.ask("DELETE", _path("datasets", identifier))

    def adaptation(self, identifier: str) -> JSON:
        return self.connection.ask("GET", _path("adaptations", identifier))

    def endpoint(self, name: str) -> JSON:
        return self.connection.ask("GET", _path("endpoints", name))

    def promote(self, name: str, version: int, force: bool = False) -> JSON:
        """Let a version answer; one whose verdict is negative only with `force`."""
        path, body = _path("endpoints", name, "promote"), {"version": version, "force": force}
        return self.connection.ask("POST", path, json=body)

    def roll_back(self, name: str) -> JSON:
        """End the trial of a version, or else let the version answer that did before."""
        found = self.endpoint(name)
        version = found["trial"]["version"] if found["trial"] else found["version"]
        path = _path("endpoints", name, "rollback")
        return self.connection.ask("POST", path, json={"from": version})

    def try_out(
        self, name: str, version: int, mode: Mode, share: float, force: bool = False
    ) -> JSON:
        """Let a version answer a share of the requests as a canary, or be asked copies of them as a
        shadow."""
        body = {"version": version, "mode": mode, "share": share, "force": force}
        return self.connection.ask("POST", _path("endpoints", name, "try"), json=body)

    def place(self, name: str, wanted: Placement) -> JSON:
        """Where an endpoint shall answer."""
        path = _path("endpoints", name, "placement")
        return self.connection.ask("PUT", path, json=wanted.model_dump())

    def end_endpoint(self, name: str) -> None:
        """Let nobody answer at an endpoint; its versions stay."""
        self.connection.ask("DELETE", _path("endpoints", name))

    def history(self, name: str) -> list[JSON]:
        """All changes of an endpoint, the newest first."""
        items: list[JSON] = self.connection.ask("GET", _path("endpoints", name, "history"))["items"]
        return items

    def live(self, name: str) -> list[JSON]:
        """How the versions of an endpoint do while they answer."""
        items: list[JSON] = self.connection.ask("GET", _path("endpoints", name, "live"))["items"]
        return items

    def feedback(self, name: str, labels: list[JSON]) -> JSON:
        """Tell true labels: each an `id` of a request, a `label`, and a `row` unless it is 0."""
        path = _path("endpoints", name, "feedback")
        return self.connection.ask("POST", path, json={"labels": labels})

    def me(self) -> JSON:
        """Who this client is to the server: `id`, `project` and `scopes`."""
        return self.connection.ask("GET", "/v1/me")

    def create_key(self, wanted: JSON) -> JSON:
        """A new API key: `name`, `project`, `scopes`, `days`; its `key` is told this once."""
        return self.connection.ask("POST", "/v1/keys", json=wanted)

    def revoke_key(self, identifier: str) -> JSON:
        return self.connection.ask("DELETE", _path("keys", identifier))

    def predict(self, endpoint: str, inputs: list[Any]) -> JSON:
        """The readable answers of an endpoint, one an input: a text, or the content of a file."""
        path = f"/v2/models/{quote(endpoint, safe='')}/predict"
        if inputs and all(isinstance(item, bytes) for item in inputs):
            files = [("file", (f"{number}", item)) for number, item in enumerate(inputs)]
            return self.connection.ask("POST", path, files=files)
        return self.connection.ask("POST", path, json={"inputs": inputs})

    def source(self, reference: str) -> JSON:
        """What is known of a source model; a local file or folder is named in full."""
        return self.connection.ask("GET", _path("sources", located(reference)))

    def _submit(self, spec: AdaptationSpec) -> tuple[str, JSON]:
        # With the key a request that was repeated, here or by a proxy, starts one run.
        headers = {"idempotency-key": secrets.token_hex(16)}
        body = spec.model_dump(mode="json")
        run = persist(lambda: self.connection.ask("POST", RUNS, json=body, headers=headers))
        return run["id"], run

    def _follow(self, identifier: str, show: Show) -> JSON:
        """The data of the last event."""
        data: JSON = {}
        for event in follow(self.connection, identifier):
            data = event.data
            show(event.kind, data)
        return data

    def _outcome(self, identifier: str, last: JSON) -> JSON:
        run = self.adaptation(identifier)
        if run["state"] == State.CANCELLED:
            raise CancelledRunError(f"The adaptation {identifier} was cancelled.")
        if run["state"] == State.FAILED:
            raise RemoteError(run["reason"], last.get("status", 500), last.get("problems", ()))
        endpoint = run["result"].get("endpoint")
        return {**run["result"], "endpoint": endpoint and self.connection.url + endpoint}

    def _cancelled(self, identifier: str) -> CancelledRunError:
        """Cancel the run, and wait until it has ended."""
        run = self.cancel(identifier)
        deadline = time.monotonic() + CANCEL_WAIT
        while not is_final(run) and time.monotonic() < deadline:
            time.sleep(PAUSE)
            run = self.adaptation(identifier)
        return CancelledRunError(f"The adaptation {identifier} is {run['state']}.")


def _path(*parts: str) -> str:
    return "/".join(("/v1", *(quote(part, safe="") for part in parts)))
