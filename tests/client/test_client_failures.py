"""Connections that break, servers that are not there, and failures of every shape."""

import socket
import subprocess
import sys
import time

import httpx
import pytest

from regraft.client import Client, RemoteError, UnreachableError
from regraft.client.following import persist
from regraft.domain import State
from regraft.errors import DataError, InvalidInputError


def silent(kind, data):
    """Shows nothing."""


async def answer(send, status, body, kind=b"text/plain"):
    headers = [(b"content-type", kind)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def replying(status, body, kind=b"text/plain"):
    async def front(app, scope, receive, send):
        await answer(send, status, body, kind)

    return front


def test_no_event_is_lost_or_repeated_when_the_stream_breaks(client, server, spec):
    opened = []

    async def breaking(app, scope, receive, send):
        async def at_most_two(message):
            if message.get("body", b"").startswith(b"id:"):
                seen.append(message)
            if len(seen) > 1:
                raise ConnectionAbortedError
            await send(message)

        seen = []
        following = scope["path"].endswith("/events")
        if following:
            opened.append(dict(scope["headers"])[b"last-event-id"])
        await app(scope, receive, at_most_two if following else send)

    server.front = breaking
    shown = []
    client.adapt(spec, False, lambda kind, data: shown.append(data.get("name", kind)))
    assert shown == ["data", "train", "succeeded"]
    assert opened == [b"0", b"1", b"2"]


def test_a_stream_that_ends_before_the_run_is_opened_again(client, server, spec):
    calls = []

    async def ending(app, scope, receive, send):
        if not scope["path"].endswith("/events") or calls:
            return await app(scope, receive, send)
        calls.append(scope)
        await answer(send, 200, b":\n\nid: 1\nevent: stage\nda", b"text/event-stream")

    def slow(registry, identifier):
        registry.runs.record(identifier, "stage", {"name": "data"})
        time.sleep(1)
        registry.runs.finish(identifier, State.SUCCEEDED, result={})
        registry.runs.record(identifier, "succeeded", {})

    server.front, server.script = ending, slow
    shown = []
    client.adapt(spec, False, lambda kind, data: shown.append(kind))
    assert shown == ["stage", "succeeded"]


def test_a_request_whose_answer_was_lost_is_repeated_and_starts_one_run(client, server, spec):
    lost = []

    async def losing(app, scope, receive, send):
        async def nowhere(message):
            lost.append(message)

        first = scope["path"] == "/v1/adaptations" and not lost
        await app(scope, receive, nowhere if first else send)
        if first:
            await answer(send, 502, b"Bad Gateway")

    server.front = losing
    client.adapt(spec, False, silent)
    assert lost
    assert len(server.registry.runs.all()) == len(server.threads) == 1


def test_a_refused_request_is_not_repeated(client, server, spec):
    calls = []

    async def counting(app, scope, receive, send):
        calls.append(scope["path"])
        await app(scope, receive, send)

    server.front = counting
    with pytest.raises(RemoteError, match="Did you mean 'linear-probe'") as caught:
        client.adapt(spec.model_copy(update={"strategy": "linear-prob"}), False, silent)
    assert caught.value.status == 404
    assert calls == ["/v1/tasks", "/v1/datasets", "/v1/adaptations"]


def test_a_repeated_request_gives_up_in_the_end():
    calls = []

    def request():
        calls.append(1)
        raise UnreachableError("http://x", OSError())

    with pytest.raises(UnreachableError):
        persist(request, (0, 0))
    assert len(calls) == 3


def test_an_absent_server_is_named_with_what_to_do(nowhere, spec):
    with Client(nowhere) as client, pytest.raises(UnreachableError) as caught:
        client.adapt(spec, False, silent)
    assert caught.value.status == 503
    assert nowhere in str(caught.value)
    assert "`regraft serve`" in str(caught.value)


def test_a_server_of_this_machine_is_never_asked_through_a_proxy(server, nowhere, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", nowhere)
    with Client(server.url) as client:
        assert client.listing("models") == []


def test_what_is_no_url_is_refused():
    with pytest.raises(InvalidInputError, match="is not a URL"):
        Client("http://localhost:port")


def test_a_file_that_is_too_large_for_the_server_is_told_so(client, spec, tmp_path):
    big = tmp_path / "big.csv"
    big.write_bytes(b"x" * (20 * 2**20))
    with pytest.raises(RemoteError, match="larger than 1,048,576 bytes") as caught:
        client.adapt(spec.model_copy(update={"data": str(big)}), False, silent)
    assert caught.value.status == 413


def test_an_upload_that_breaks_off_leaves_nothing(client, server):
    place = httpx.URL(server.url)
    with socket.create_connection((place.host, place.port)) as half:
        half.sendall(
            b"POST /v1/datasets?filename=x.csv HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"
        )
        assert until(lambda: files(server) == 1)
    assert until(lambda: files(server) == 0)
    assert client.listing("models") == []


def files(server):
    return len(list(server.registry.home.uploads.glob("*")))


def until(holds, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (404, b'{"error": "no endpoint x"}', "no endpoint x"),
        (422, b'{"detail": "bad input", "status": 422}', "bad input"),
        (503, b"<html>\n503 Service Unavailable", "answered 503: <html> 503 Service Unavailable"),
        (502, b"", "answered 502: no text"),
        (500, b'["odd"]', 'answered 500: ["odd"]'),
        (200, b"<html>another server", "answered 200: <html>another server"),
    ],
)
def test_a_failure_of_any_shape_becomes_an_error(client, server, status, body, message):
    server.front = replying(status, body)
    with pytest.raises(RemoteError) as caught:
        client.predict("x", ["hello"])
    assert str(caught.value).endswith(message)
    assert caught.value.status == status


def test_the_client_loads_nothing_that_only_a_server_needs():
    heavy = "torch ray sqlalchemy onnxruntime fastapi regraft.registry regraft.adaptations"
    code = f"import sys, regraft.client; sys.exit(repr(set('{heavy}'.split()) & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stderr.strip() == "set()"


@pytest.mark.parametrize("url", ["foo", "localhost:8000", "ftp://host"])
def test_a_url_of_no_protocol_of_ours_is_refused_with_an_example(url):
    with (
        Client(url) as client,
        pytest.raises(InvalidInputError, match=r"is not a URL such as http://127\.0\.0\.1:8000"),
    ):
        client.listing("models")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("~nouser/x.csv", "missing-file"),
        ("/no/file.csv", "missing-file"),
        ("a" * 5000, "unreadable-file"),
    ],
)
def test_a_file_that_cannot_be_sent_is_told(client, spec, name, code):
    with pytest.raises(DataError) as caught:
        client.adapt(spec.model_copy(update={"data": name}), False, silent)
    assert [problem.code for problem in caught.value.problems] == [code]


def test_who_has_no_key_is_told_how_to_keep_one(client, server):
    body = b'{"detail": "Send an API key."}'
    server.front = replying(401, body, b"application/problem+json")
    with pytest.raises(RemoteError) as caught:
        client.listing("models")
    assert f"Send an API key. Keep one with `regraft login --url {server.url}`" in str(caught.value)
