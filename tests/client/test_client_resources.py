"""Looking at and changing what a server has."""

import json

import pytest

from regraft.client import RemoteError
from regraft.client.event_stream import ServerEvent, read_events


@pytest.fixture
def published(server):
    """Two versions of a model."""
    blobs, part = server.registry.blobs, {"sha256": "0" * 64}
    report = blobs.put(b'{"primary": "accuracy"}').as_dict()
    manifest = blobs.put(json.dumps({"report": report, "backbone": part, "head": part}).encode())
    for _ in range(2):
        server.registry.models.publish("tweets", manifest, {}, promote=True)


@pytest.mark.parametrize("kind", ["sources", "tasks", "strategies", "plugins"])
def test_what_is_installed_is_listed(client, kind):
    assert client.listing(kind)


def test_an_unknown_kind_is_not_found(client):
    with pytest.raises(RemoteError) as caught:
        client.listing("things")
    assert caught.value.status == 404


def test_a_model_is_shown_by_name_and_version(client, published):
    assert client.model("tweets", None)["version"] == 2
    report = client.model("tweets", 1)["report"]
    assert report["primary"] == "accuracy"
    assert report["speed"] is None, "what a report of before does not tell"
    assert [item["version"] for item in client.listing("models")] == [1, 2]


def test_an_endpoint_is_promoted_and_rolled_back(client, published):
    assert client.promote("tweets", 1)["version"] == 1
    assert client.endpoint("tweets")["previous"] == 2
    assert client.roll_back("tweets")["version"] == 2


def test_a_rollback_names_the_version_that_it_leaves(client, server, published):
    bodies = []

    async def listening(app, scope, receive, send):
        async def overheard():
            message = await receive()
            bodies.append(message.get("body"))
            return message

        await app(scope, overheard if scope["method"] == "POST" else receive, send)

    server.front = listening
    client.roll_back("tweets")
    assert json.loads(bodies[0]) == {"from": 2}


def test_a_name_is_sent_as_it_is(client, published):
    with pytest.raises(RemoteError, match=r"Unknown model 'tweets\?x#y'"):
        client.model("tweets?x#y", None)


def test_a_prediction_is_asked_at_the_endpoints_own_path(client, server):
    asked = []

    async def predictor(app, scope, receive, send):
        message = await receive()
        asked.append((scope["path"], json.loads(message["body"])))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'{"predictions": [1]}'})

    server.front = predictor
    assert client.predict("tweets", ["hello"]) == {"predictions": [1]}
    assert asked == [("/v2/models/tweets/predict", {"inputs": ["hello"]})]


def test_comments_are_signs_of_life_and_half_an_event_is_none():
    lines = [":", "", "id: 7", "event: stage", 'data: {"name":"a: b"}', "", "id: 8", "event: x"]
    assert list(read_events(lines)) == [None, ServerEvent(7, "stage", {"name": "a: b"})]
