"""Published versions, and which of them answers."""

import numpy as np
import pytest

from regraft.serving.predictions import Predictions
from regraft.serving.telemetry import RequestRecord, Told


def test_all_versions_are_listed(site):
    site.publish("a"), site.publish("b"), site.publish("a")
    items = site.http.get("/v1/models").json()["items"]
    assert [(item["name"], item["version"]) for item in items] == [("a", 1), ("a", 2), ("b", 1)]


def test_a_model_is_its_newest_version_with_the_report(site):
    site.publish(), site.publish()
    found = site.http.get("/v1/models/tweets").json()
    assert (found["version"], found["task"]) == (2, "a-task")
    assert found["report"]["primary"] == "accuracy"


def test_a_figure_that_is_not_finite_is_null(site):
    site.publish()
    assert site.http.get("/v1/models/tweets").json()["report"]["loss"] is None


def test_a_version_is_found_by_its_number(site):
    site.publish(), site.publish()
    assert site.http.get("/v1/models/tweets/versions/1").json()["version"] == 1
    missing = site.http.get("/v1/models/tweets/versions/3")
    assert (missing.status_code, missing.json()["detail"]) == (
        404,
        "Unknown version '3' of 'tweets'. Known: 1, 2.",
    )


def test_a_promoted_version_answers_until_it_is_rolled_back(site):
    site.publish(), site.publish()
    promoted = site.http.post("/v1/endpoints/tweets/promote", json={"version": 1})
    assert (promoted.json()["version"], promoted.json()["previous"]) == (1, 2)
    assert site.http.get("/v1/endpoints/tweets").json() == promoted.json()
    back = site.http.post("/v1/endpoints/tweets/rollback", json={"from": 1})
    assert back.json()["version"] == 2
    assert [item["version"] for item in site.http.get("/v1/endpoints").json()["items"]] == [2]


def test_a_version_that_is_worse_answers_by_force_alone(site):
    site.publish(verdict="negative"), site.publish(verdict="positive")
    path = "/v1/endpoints/tweets/promote"
    refused = site.http.post(path, json={"version": 1})
    assert refused.status_code == 409
    assert "its verdict is negative" in refused.json()["detail"]
    assert site.http.get("/v1/endpoints/tweets").json()["version"] == 2
    assert site.http.post(path, json={"version": 1, "force": True}).json()["version"] == 1
    assert site.http.post(path, json={"version": 1, "force": "yes"}).status_code == 422


def test_a_rollback_without_an_earlier_version_is_a_conflict(site):
    site.publish()
    answer = site.http.post("/v1/endpoints/tweets/rollback", json={"from": 1})
    assert answer.status_code == 409


def test_a_replayed_rollback_changes_nothing_more(site):
    site.publish(), site.publish()
    path, body = "/v1/endpoints/tweets/rollback", {"from": 2}
    first, again = site.http.post(path, json=body), site.http.post(path, json=body)
    assert (first.json()["version"], first.json()["previous"]) == (1, 2)
    assert (again.status_code, again.json()) == (200, first.json())


@pytest.mark.parametrize("body", [{}, {"from": "1"}, {"from": 0}, {"version": 1}])
def test_a_rollback_says_from_which_version(site, body):
    site.publish(), site.publish()
    assert site.http.post("/v1/endpoints/tweets/rollback", json=body).status_code == 422


def test_a_rollback_that_a_foreign_web_page_could_send_is_refused(site):
    site.publish(), site.publish()
    assert site.http.post("/v1/endpoints/tweets/rollback").status_code == 415
    assert site.http.get("/v1/endpoints/tweets").json()["version"] == 2


@pytest.mark.parametrize("body", [{}, [], {"version": "1"}, {"version": 0}, {"version": 1, "x": 2}])
def test_a_promotion_names_one_version_and_nothing_else(site, body):
    site.publish()
    assert site.http.post("/v1/endpoints/tweets/promote", json=body).status_code == 422


@pytest.mark.parametrize("path", ["/v1/models/no", "/v1/endpoints/no", "/v1/models/no/versions/1"])
def test_what_is_not_there_is_not_found(site, path):
    assert site.http.get(path).status_code == 404


def test_a_version_is_tried_and_taken_back(site):
    site.publish(), site.publish()
    asked = {"version": 1, "mode": "shadow", "share": 0.5}
    tried = site.http.post("/v1/endpoints/tweets/try", json=asked).json()
    assert {key: tried["trial"][key] for key in asked} == asked
    back = site.http.post("/v1/endpoints/tweets/rollback", json={"from": 1}).json()
    assert (back["version"], back["trial"]) == (2, None)
    actions = [
        one["action"] for one in site.http.get("/v1/endpoints/tweets/history").json()["items"]
    ]
    assert actions == ["rollback", "shadow", "publish", "publish"]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"version": 1, "share": 0},
        {"version": 1, "share": 1.01},
        {"version": 1, "mode": "loud"},
        {"version": "1"},
        {"version": 1, "extra": 1},
    ],
)
def test_a_trial_that_makes_no_sense_is_refused(site, asked):
    site.publish(), site.publish()
    assert site.http.post("/v1/endpoints/tweets/try", json=asked).status_code == 422


def test_a_placement_is_taken_or_refused_whole(site):
    site.publish()
    path = "/v1/endpoints/tweets/placement"
    wanted = {"placement": "dedicated", "min_replicas": 0, "max_replicas": 3}
    placed = site.http.put(path, json=wanted).json()["placement"]
    assert (placed["max_replicas"], placed["cpus"], placed["placed"]) == (3, 1.0, False)
    refused = site.http.put(path, json={**wanted, "min_replicas": 4})
    assert refused.status_code == 422
    assert "min_replicas (4) is more than max_replicas (3)" in refused.json()["detail"]
    assert site.http.get("/v1/endpoints/tweets").json()["placement"] == placed


def test_true_labels_are_kept_and_counted(site):
    site.publish()
    path = "/v1/endpoints/tweets/feedback"
    labels = {"labels": [{"id": "r1", "label": "a"}, {"id": "r1", "label": "b", "row": 1}]}
    assert site.http.post(path, json=labels).json() == {"kept": 2, "known": 0}
    assert site.http.post(path, json={"labels": []}).status_code == 422
    assert site.http.post(path, json={"labels": [{"id": "", "label": "a"}]}).status_code == 422
    assert site.http.post("/v1/endpoints/no/feedback", json=labels).status_code == 404


def test_an_endpoint_that_nobody_asked_has_nothing_to_tell(site):
    site.publish()
    assert site.http.get("/v1/endpoints/tweets/live").json() == {"items": []}
    assert site.http.get("/v1/endpoints/no/live").status_code == 404


def test_live_figures_are_metrics(site):
    version = site.publish()
    kept = Predictions(site.registry.home.predictions)
    told = Told(np.array([b"a"], object), None)
    kept.request(RequestRecord("tweets", str(version.version), 1, 200, 0.1, "r1", told))
    kept.write()
    site.registry.feedback.ingest()
    labels = {"labels": [{"id": "r1", "label": "a"}]}
    assert site.http.post("/v1/endpoints/tweets/feedback", json=labels).json()["known"] == 1
    lines = site.http.get("/metrics").text.splitlines()
    assert 'regraft_judged{endpoint="tweets",version="1"} 1' in lines
    assert 'regraft_live_accuracy{endpoint="tweets",version="1"} 1' in lines
    assert not any(line.startswith("regraft_prediction_drift{") for line in lines)


def test_lists_come_in_pages(site):
    for name in ("a", "b", "c"):
        site.publish(name)
    for kind in ("models", "endpoints"):
        first = site.http.get(f"/v1/{kind}?limit=2").json()
        rest = site.http.get(f"/v1/{kind}", params={"limit": 2, "cursor": first["next"]}).json()
        assert [item["name"] for item in first["items"] + rest["items"]] == ["a", "b", "c"]
        assert rest["next"] is None
        assert site.http.get(f"/v1/{kind}?limit=0").status_code == 422
        assert site.http.get(f"/v1/{kind}?cursor=abc").status_code == 422


def test_an_endpoint_is_changed_only_as_it_was_seen(site):
    site.publish(), site.publish()
    path = "/v1/endpoints/tweets"
    seen = site.http.get(path).headers["etag"]
    moved = site.http.post(f"{path}/promote", json={"version": 1}, headers={"If-Match": seen})
    assert moved.headers["etag"] == site.http.get(path).headers["etag"] != seen
    for ask in (
        lambda: site.http.post(f"{path}/promote", json={"version": 2}, headers={"If-Match": seen}),
        lambda: site.http.post(f"{path}/rollback", json={"from": 1}, headers={"If-Match": seen}),
        lambda: site.http.put(f"{path}/placement", json={}, headers={"If-Match": seen}),
        lambda: site.http.delete(path, headers={"If-Match": seen}),
    ):
        assert (ask().status_code, site.http.get(path).json()["version"]) == (412, 1)
    tried = {"version": 2, "mode": "shadow"}
    refused = site.http.post(f"{path}/try", json=tried, headers={"If-Match": seen})
    assert "has changed since" in refused.json()["detail"]


def test_an_endpoint_ends_and_then_its_version_can_be_deleted(site):
    site.publish()
    version = "/v1/models/tweets/versions/1"
    assert site.http.delete(version).status_code == 409
    ended = site.http.delete("/v1/endpoints/tweets")
    assert (ended.status_code, ended.content) == (204, b"")
    assert site.http.get("/v1/endpoints/tweets").status_code == 404
    assert site.http.delete(version).status_code == 204
    assert site.http.get("/v1/models/tweets").status_code == 404
    assert site.http.delete(version).status_code == 404
