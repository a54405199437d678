"""Lines of the log: JSON whatever they hold, with the request's id, and without secrets."""

import io
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regraft.identity.keys import ApiKey
from regraft.logs import REQUEST, Line, redacted, request_id


def test_a_line_tells_when_who_what_and_of_which_request(log: io.StringIO) -> None:
    mark = REQUEST.set("r-1")
    try:
        raise ValueError("with rgk_0123456789ab_" + "s" * 43)
    except ValueError:
        logging.getLogger("regraft.api").exception("it %s", "broke\nforged line")
    finally:
        REQUEST.reset(mark)
    (line,) = log.getvalue().splitlines()
    found = json.loads(line)
    assert (found["level"], found["logger"]) == ("error", "regraft.api")
    assert (found["message"], found["request"]) == ("it broke\nforged line", "r-1")
    assert found["error"].endswith("ValueError: with rgk_0123456789ab_…")
    assert found["time"].endswith("+00:00")


@given(message=st.text())
def test_any_message_is_one_line(message: str) -> None:
    record = logging.LogRecord("regraft", logging.INFO, "", 0, message, (), None)
    (line,) = Line().format(record).splitlines()
    assert json.loads(line)["logger"] == "regraft"


@pytest.mark.parametrize(
    "text",
    [
        "rgk_0123456789ab_SECRET",
        "Authorization: Bearer SECRET",
        "{'authorization': 'bearer SECRET'}",
        "postgresql://user:SECRET@host/db",
        "s3://key:SECRET@bucket/folder",
        "eyJhbGciOiJSUzI1NiJ9.SECRET.SECRET",
        "password=SECRET&x=1",
        '{"api_key": "SECRET"}',
        "AWS_SECRET_ACCESS_KEY: x, token: SECRET",
    ],
)
def test_no_secret_is_told(text: str) -> None:
    assert "SECRET" not in redacted(text).replace("AWS_SECRET_ACCESS", "")


@given(text=st.text(alphabet=st.characters(categories=["L", "N", "P", "Z"])))
def test_a_key_is_found_in_whatever_is_around_it(text: str) -> None:
    key = ApiKey.new()
    assert key.secret not in redacted(f"{text} {key} {text}")


def test_text_without_secrets_stays() -> None:
    text = "version 2 of 'tweets' cannot be loaded: the blob 0a1b is missing. See http://host/docs"
    assert redacted(text) == text


@pytest.mark.parametrize("given", [None, "", "x" * 129, "é", "a\nb"])
def test_an_id_that_is_of_no_use_is_replaced(given: str | None) -> None:
    assert len(request_id(given)) == 16
    assert request_id("mine") == "mine"
