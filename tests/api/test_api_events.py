"""The event stream of an adaptation."""

import asyncio
import json
import threading
import time

import pytest

from regraft.api.progress import Pace, RunProgress
from regraft.domain import State


@pytest.fixture
def ended(site):
    """A run with three events, the last of which is final."""
    run = site.run()
    site.registry.runs.start(run.id)
    for name in ("data", "train"):
        site.registry.runs.record(run.id, "stage", {"name": name})
    site.registry.runs.finish(run.id, State.SUCCEEDED, result={"version": 1})
    site.registry.runs.record(run.id, "succeeded", {"version": 1})
    return run.id


def follow(site, identifier, **headers):
    return site.http.get(f"/v1/adaptations/{identifier}/events", headers=headers)


def test_a_stream_has_number_kind_and_data_of_every_event(site, ended):
    answer = follow(site, ended)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text == (
        ":\n\n"
        'id: 1\nevent: stage\ndata: {"name":"data"}\n\n'
        'id: 2\nevent: stage\ndata: {"name":"train"}\n\n'
        'id: 3\nevent: succeeded\ndata: {"version":1}\n\n'
    )


def test_a_stream_resumes_after_the_last_event_that_was_seen(site, ended):
    answer = follow(site, ended, **{"Last-Event-ID": "2"})
    assert answer.text == ':\n\nid: 3\nevent: succeeded\ndata: {"version":1}\n\n'


@pytest.mark.parametrize("number", ["-1", "two", str(2**63)])
def test_an_unfit_last_event_id_is_refused(site, ended, number):
    assert follow(site, ended, **{"Last-Event-ID": number}).status_code == 422


def test_a_stream_goes_on_until_the_final_event(site):
    run, runs = site.run(), site.registry.runs
    runs.start(run.id)

    def work():
        runs.record(run.id, "stage", {"name": "data"})
        runs.finish(run.id, State.FAILED, "no")
        time.sleep(0.5)
        runs.record(run.id, "failed", {"reason": "no", "status": 422})

    timer = threading.Timer(0.3, work)
    timer.start()
    text = follow(site, run.id).text
    timer.join()
    assert text.endswith('event: failed\ndata: {"reason":"no","status":422}\n\n')


def test_a_run_that_never_began_has_a_stream_that_ends_and_need_not_be_opened_again(site):
    run = site.run()
    site.registry.runs.request_cancel(run.id)
    assert "event: cancelled" in follow(site, run.id).text
    assert RunProgress(site.registry.runs, run.id, 1, Pace(last_event=0)).exhausted()


def test_a_reader_who_has_not_seen_all_is_never_told_to_stay_away(site, ended):
    runs, pace = site.registry.runs, Pace(last_event=0)
    assert RunProgress(runs, ended, 3, pace).exhausted()
    assert not RunProgress(runs, ended, 2, pace).exhausted()
    assert not RunProgress(runs, site.run().id, 0, pace).exhausted()


def test_whatever_an_event_holds_it_is_one_line_of_standard_json(site):
    run = site.run()
    data = {"loss": float("nan"), "label": "a\u2028b\nc", "half": "\ud800"}
    site.registry.runs.record(run.id, "failed", data)
    lines = follow(site, run.id).text.splitlines()
    found = json.loads(lines[4].removeprefix("data: "), parse_constant=pytest.fail)
    assert found == data | {"loss": None}


def test_a_silent_stream_shows_that_it_lives(site):
    stream = RunProgress(site.registry.runs, site.run().id, 0, Pace(heartbeat=0)).stream()

    async def first_two():
        return [await anext(stream), await anext(stream)]

    assert asyncio.run(first_two()) == [":\n\n", ":\n\n"]
