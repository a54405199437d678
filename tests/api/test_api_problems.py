"""Every failure is a problem document."""

import pytest
from sqlalchemy.exc import OperationalError
from starlette.requests import ClientDisconnect

from regraft.api.control_body import LIMIT
from regraft.api.problems import problem
from regraft.errors import DataError, OverloadedError, Problem

JSON = {"content-type": "application/json"}


def document_of(answer):
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert (document["type"], document["status"]) == ("about:blank", answer.status_code)
    return document


@pytest.mark.parametrize(
    ("method", "path", "status", "title"),
    [
        ("GET", "/nothing", 404, "Not Found"),
        ("GET", "/v1/models/", 404, "Not Found"),
        ("PUT", "/v1/models", 405, "Method Not Allowed"),
        ("GET", "/v1/models/x/versions/one", 422, "Unprocessable"),
        ("POST", "/v1/datasets", 422, "Unprocessable"),
        ("GET", "/v1/models/x", 404, "Not Found"),
    ],
)
def test_a_failure_has_type_title_status_and_detail(site, method, path, status, title):
    answer = site.http.request(method, path)
    assert answer.status_code == status
    document = document_of(answer)
    assert document["title"].startswith(title)
    assert document["detail"]


def test_a_refused_method_names_those_that_are_allowed(site):
    assert site.http.put("/v1/models").headers["allow"] == "GET"


def test_a_wrong_parameter_is_named_but_not_repeated(site):
    detail = document_of(site.http.get("/v1/models/x/versions/sEcReT"))["detail"]
    assert detail.startswith("path version: Input should be a valid integer")
    assert "sEcReT" not in detail


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff", 400),
        (b'{"name": NaN}', 400),
        (b'{"name": "\\ud800"}', 400),
        (b'{"name": 1, "name": 2}', 400),
        (b"[" * 100 + b"]" * 100, 400),
        (b"[]", 422),
        (b'{"seed": 1e999}', 400),
        (b'{"name": "' + b"x" * LIMIT + b'"}', 413),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_body_that_is_no_request_is_a_problem(site, body, status):
    answer = site.http.post("/v1/adaptations", content=body, headers=JSON)
    assert document_of(answer)["status"] == status


def test_a_body_is_counted_even_if_no_header_tells_its_size(site):
    def chunks():
        yield from [b"x" * LIMIT, b"x"]

    answer = site.http.post("/v1/adaptations", content=chunks(), headers=JSON)
    assert "content-length" not in answer.request.headers
    assert document_of(answer)["status"] == 413


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_that_a_foreign_web_page_could_send_is_refused(site, kind):
    headers = {"content-type": kind}
    answer = site.http.post("/v1/adaptations", content=b"{}", headers=headers)
    assert document_of(answer)["status"] == 415


def test_an_unforeseen_error_is_logged_under_an_id_and_not_told(open_site, caplog):
    def launch(identifier):
        raise OSError("secret /path")

    document = document_of(open_site(launch).submit())
    assert document["status"] == 500
    assert "secret" not in document["detail"]
    identifier = document["detail"].split()[-1].rstrip(".")
    (record,) = [r for r in caplog.records if r.name == "regraft.api"]
    assert identifier in record.getMessage()
    assert "secret /path" in str(record.exc_info[1])


def test_an_overload_says_when_to_come_back():
    answer = problem(OverloadedError("The queue is full.", retry_after=7))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


def test_what_is_wrong_with_data_is_listed():
    answer = problem(DataError("x.csv", [Problem("empty-cell", "no text", row=3)]))
    assert answer.status_code == 422
    assert b'"problems":[{"code":"empty-cell","message":"no text","row":3}]' in answer.body


def test_half_a_surrogate_pair_in_a_message_is_answered_all_the_same():
    assert b'"detail":"x.csv?' in problem(DataError("x.csv\udcff", [])).body


def test_a_client_that_goes_away_is_not_logged_as_an_error(caplog):
    assert problem(ClientDisconnect()).status_code == 400
    assert not caplog.records


def test_a_database_that_is_away_is_told_with_when_to_come_back(open_site):
    def launch(identifier):
        raise OperationalError("SELECT secret", {}, ConnectionError("no route to 10.0.0.7"))

    answer = open_site(launch).submit()
    document = document_of(answer)
    assert (document["status"], answer.headers["retry-after"]) == (503, "5")
    assert document["detail"] == "The database does not answer. Try again."
