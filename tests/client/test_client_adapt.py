"""Submitting and following a run."""

import random
import time

import httpx
import pytest

from regraft.client import RemoteError
from regraft.client.uploading import with_located_source
from regraft.domain import State
from regraft.errors import CancelledRunError, DataError


def silent(kind, data):
    """Shows nothing."""


def test_a_run_is_followed_event_by_event_to_its_result(client, server, spec):
    shown = []
    result = client.adapt(spec, False, lambda kind, data: shown.append((kind, data)))
    assert [kind for kind, _ in shown] == ["stage", "stage", "succeeded"]
    assert shown[1][1] == {"name": "train"}
    assert (result["version"], result["endpoint"]) == (1, f"{server.url}/v2/models/tweets")


def test_a_result_without_an_endpoint_has_none(client, server, spec):
    server.script = lambda registry, i: registry.runs.finish(i, State.SUCCEEDED, result={})
    assert client.adapt(spec, False, silent)["endpoint"] is None


def test_each_local_file_is_uploaded_once(client, server, spec, tmp_path):
    other = tmp_path / "more.tsv"
    other.write_bytes(b"x" * 300_000)
    changes = {"test": str(other), "validation": str(other)}
    run = client.adapt(spec.model_copy(update=changes), True, silent)["spec"]
    assert run["test"] == run["validation"] != run["data"]
    assert server.registry.uploads.path(run["test"]).read_bytes() == other.read_bytes()
    assert len(list(server.registry.home.uploads.iterdir())) == 2


def test_an_uploaded_data_set_is_named_and_not_sent(client, server, spec):
    reference = client.adapt(spec, True, silent)["spec"]["data"]
    again = client.adapt(spec.model_copy(update={"data": reference}), True, silent)
    assert again["spec"]["data"] == reference
    assert len(list(server.registry.home.uploads.iterdir())) == 1


def test_a_missing_file_is_found_before_anything_is_sent(client, server, spec):
    with pytest.raises(DataError, match=r"no\.csv does not exist \[missing-file\]"):
        client.adapt(spec.model_copy(update={"test": "no.csv"}), False, silent)
    assert not server.registry.home.uploads.exists()


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """The working directory, with a folder and one that is named like a known source."""
    monkeypatch.chdir(tmp_path)
    for name in ("tiny", "minilm-l6"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_a_local_folder_is_named_in_full(client, spec, elsewhere):
    for source in ("tiny", "./tiny", str(elsewhere / "tiny")):
        given = spec.model_copy(update={"source": source})
        assert with_located_source(given, client.connection).source == str(elsewhere / "tiny")


def test_a_local_folder_within_a_reference_is_named_in_full_too(client, spec, elsewhere):
    for source, form in (("hf:tiny", "hf:{}"), ("tiny?init=random", "{}?init=random")):
        given = spec.model_copy(update={"source": source})
        found = with_located_source(given, client.connection).source
        assert found == form.format(elsewhere / "tiny")


@pytest.mark.parametrize("source", ["minilm-l6", "hf:none", "none?init=random", "org/x", "x" * 300])
def test_any_other_source_is_named_as_it_was_given(client, spec, elsewhere, source):
    given = spec.model_copy(update={"source": source})
    assert with_located_source(given, client.connection).source == source


def test_a_detached_run_is_answered_at_once(client, server, spec):
    run = client.adapt(spec, True, lambda *_: pytest.fail("followed"))
    assert (run["state"], run["name"]) == ("submitted", "tweets")
    assert client.adaptation(run["id"])["id"] == run["id"]


def test_a_failed_run_raises_with_the_status_of_its_failure(client, server, spec):
    problems = [{"code": "empty-cell", "message": "no text", "row": 3}]

    def fail(registry, identifier):
        data = {"reason": "row 3: no text", "status": 422, "problems": problems}
        registry.runs.finish(identifier, State.FAILED, data["reason"])
        registry.runs.record(identifier, "failed", data)

    server.script = fail
    with pytest.raises(RemoteError, match="row 3: no text") as caught:
        client.adapt(spec, False, silent)
    assert caught.value.status == 422
    assert caught.value.problems == tuple(problems)


def test_a_run_that_ended_without_a_word_is_the_servers_failure(client, server, spec):
    server.script = lambda registry, i: registry.runs.finish(i, State.FAILED, "The server stopped.")
    with pytest.raises(RemoteError, match="The server stopped") as caught:
        client.adapt(spec, False, silent)
    assert caught.value.status == 500


def test_a_run_that_somebody_cancels_raises(client, server, spec):
    server.script = lambda registry, identifier: registry.runs.request_cancel(identifier)
    with pytest.raises(CancelledRunError):
        client.adapt(spec, False, silent)


def test_ctrl_c_cancels_the_run_and_waits_for_its_end(client, server, spec):
    def stoppable(registry, identifier):
        registry.runs.start(identifier)
        registry.runs.record(identifier, "stage", {"name": "train"})
        while not registry.runs.cancel_requested(identifier):
            time.sleep(0.05)
        time.sleep(0.3)
        registry.runs.finish(identifier, State.CANCELLED)

    def interrupt(kind, data):
        raise KeyboardInterrupt

    server.script = stoppable
    with pytest.raises(CancelledRunError, match="is cancelled"):
        client.adapt(spec, False, interrupt)
    (run,) = server.registry.runs.all()
    assert run.state == State.CANCELLED


def test_a_large_file_is_sent_in_parts_whatever_breaks(client, server, spec, tmp_path, monkeypatch):
    """Of every third part a few bytes come before the connection breaks."""
    monkeypatch.setattr("regraft.client.uploading.PART", 50_000)
    content = random.Random(0).randbytes(640_000)
    large = tmp_path / "large.csv"
    large.write_bytes(content)
    parts, ask = [], client.connection.http.request

    def breaking(method, path, **given):
        if method != "PATCH":
            return ask(method, path, **given)
        parts.append(given["params"]["offset"])
        if len(parts) % 3:
            return ask(method, path, **given)
        ask(method, path, **{**given, "content": given["content"][:7]})
        raise httpx.ReadError("broke")

    monkeypatch.setattr(client.connection.http, "request", breaking)
    run = client.adapt(spec.model_copy(update={"test": str(large)}), True, silent)
    assert server.registry.uploads.path(run["spec"]["test"]).read_bytes() == content
    assert len(parts) > 640_000 // 50_000
