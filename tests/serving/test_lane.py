"""Usual predictions take the short way and are answered as by the long one; all else takes that."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import uvicorn
import uvloop
from uvicorn.config import HTTP_PROTOCOLS

from regraft.errors import UnauthorizedError
from regraft.identity.authenticator import Authenticator, anybody
from regraft.serving.http import build_app
from regraft.serving.inference import Caps, Inference, Watchers
from regraft.serving.lane import END, Lane, open_lane, whole
from regraft.serving.statistics import Statistics
from tests.serving.fakes import FakeBatcher, FakePool, Recorder, Task

PATH = "/v2/models/m/predict"
ROWS = [{"name": "text", "shape": [2], "datatype": "BYTES", "data": ["a", "bb"]}]


class Patient(FakeBatcher):
    """Answers the row `wait` once it is told to."""

    def __init__(self) -> None:
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def predict(self, predictor: Any, rows: list[str], **given: Any) -> dict[str, Any]:
        if "wait" in rows:
            self.asked.set()
            await self.go.wait()
        return await super().predict(predictor, rows, **given)


class Served:
    """A server on a port of its own, whose lane's requests are counted."""

    def __init__(self, folder: Path, authenticate: Authenticator = anybody) -> None:
        self.recorder, self.batcher, self.short = Recorder(), Patient(), 0
        parts: Any = (FakePool(), self.batcher, Watchers(self.recorder, Statistics(folder)))
        caps = Caps(body=10_000, json=5_000)
        self.inference = Inference(*parts, caps, "9", authenticate)
        self.socket = socket.create_server(("127.0.0.1", 0))
        served = self

        class Counted(Lane):
            async def _answer(self, request: Any) -> None:
                served.short += 1
                await super()._answer(request)

        lane = cast("Any", partial(Counted, self.inference))
        app = cast("Any", build_app(self.inference))
        config = uvicorn.Config(
            app, http=lane, lifespan="off", log_config=None, timeout_keep_alive=600
        )
        self.server = uvicorn.Server(config)

    async def connect(self) -> "Client":
        return Client(*await asyncio.open_connection(*self.socket.getsockname()))


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self.reader.readuntil(END)).decode().split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:-2])}
        body = await self.reader.readexactly(int(headers["content-length"]))
        return int(head[0].split()[1]), headers, body

    async def ask(self, *pieces: bytes) -> tuple[int, dict[str, str], bytes]:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0.01 if len(pieces) > 1 else 0)
        return await self.answer()


def request(asked: object, path: str = PATH, *headers: str, method: str = "POST") -> bytes:
    body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: h", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@asynccontextmanager
async def serving(folder: Path, authenticate: Authenticator = anybody) -> AsyncIterator[Served]:
    served = Served(folder, authenticate)
    served.inference.loop = asyncio.get_running_loop()
    running = asyncio.create_task(served.server.serve(sockets=[served.socket]))
    while not served.server.started:
        await asyncio.sleep(0.01)
    yield served
    served.batcher.go.set()
    served.server.should_exit = True
    await running


def run(folder: Path, test: Callable[[Served], Awaitable[None]], **given: Any) -> None:
    async def all_of_it() -> None:
        async with serving(folder, **given) as served:
            await asyncio.wait_for(test(served), 20)

    for loop in (asyncio.new_event_loop, uvloop.new_event_loop):
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(all_of_it())


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (PATH, {"inputs": ["a", "bb"]}),
        (PATH, {"inputs": ["a"] * 200}),
        ("/v2/models/m/versions/4/predict", {"inputs": ["a"]}),
        ("/v2/models/m/infer", {"id": "of the body", "inputs": ROWS}),
        ("/v2/models/m/infer", {"inputs": ROWS, "parameters": {"binary_data_output": True}}),
        ("/v2/models/m/versions/7/infer", {"inputs": ROWS}),
        (PATH, {"inputs": ["full"]}),
        (PATH, {"inputs": ["boom"]}),
        (PATH, {"inputs": ["a" * 6000]}),
        (PATH, {"inputs": ["a"] * 4000}),
        (PATH, b"{"),
        (PATH, b""),
        ("/v2/models/nobody/predict", {"inputs": ["a"]}),
    ],
)
def test_answers_are_those_of_the_long_way(tmp_path: Path, path: str, asked: object) -> None:
    more = "Accept-Encoding: gzip", "X-Request-Id: mine"

    async def test(served: Served) -> None:
        client = await served.connect()
        short = await client.ask(request(asked, path, *more))
        assert served.short == 1
        long = await client.ask(request(asked, path, *more, "Connection: keep-alive"))
        assert served.short == 1
        # Ray's middleware tells the id, and the number of an internal error is its own.
        assert short[1].pop("x-request-id") == "mine"
        for _, headers, _ in (short, long):
            headers.pop("date")
        assert (short[0], short[1]) == (long[0], long[1])
        assert short[2] == long[2] or short[0] == 500
        first, second = served.recorder.records
        assert (first.status, first.rows, first.id) == (second.status, second.rows, second.id)

    run(tmp_path, test)


USUAL = request({"inputs": ["a"]})


@pytest.mark.parametrize(
    "data",
    [
        request({"inputs": ["a"]}, PATH, "Connection: close"),
        request({"inputs": ["a"]}, PATH, "Content-Encoding: gzip"),
        request({"inputs": ["a"]}, PATH, "Expect: 100-continue"),
        request({"inputs": ["a"]}, PATH, "Transfer-Encoding: chunked"),
        request({"inputs": ["a"]}, PATH, "Content-Length: 16"),
        request({"inputs": ["a"]}, PATH, "X-One: 1", "x-one: 2"),
        request({"inputs": ["a"]}, PATH, " folded: 1"),
        request({"inputs": ["a"]}, PATH, "X-One : 1"),
        request({"inputs": ["a"]}, PATH, "X-One: 1\nX-Two: 2"),
        request({"inputs": ["a"]}, PATH, "X-One: \0"),
        request({"inputs": ["a"]}, PATH, "X-One: \x01"),
        request({"inputs": ["a"]}, PATH, "X-One: \x7f"),
        request({"inputs": ["a"]}, PATH, "Proxy-Connection: close"),
        request({"inputs": ["a"]}, PATH, "Upgrade: h2c"),
        request({"inputs": ["a"]}, "/v2/models/\u00e9/predict"),
        request({"inputs": ["a"]}, PATH, "no colon"),
        request({"inputs": ["a"]}, f"{PATH}?a=b"),
        request({"inputs": ["a"]}, "/v2/models/%6d/predict"),
        request({"inputs": ["a"]}, "/v2/models/../predict/"),
        request({"inputs": ["a"]}, "/v2/models/m/ready"),
        request({"inputs": ["a"]}, method="PUT"),
        request(b"a" * 2**18),
        USUAL.replace(b"Content-Length: 17\r\n", b""),
        USUAL.replace(b"HTTP/1.1", b"HTTP/1.0"),
        USUAL + USUAL,
        USUAL[:-1],
        USUAL[:30],
        b"",
        END,
    ],
)
def test_what_is_unusual_is_left_to_the_parser(data: bytes) -> None:
    assert whole(USUAL) is not None
    assert whole(data) is None


def test_a_connection_may_have_both(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        client, expected = await served.connect(), 0
        usual = request({"inputs": ["a"]})
        for _ in range(3):
            assert (await client.ask(usual))[0] == 200
            ready = request(b"", "/v2/models/m/ready", method="GET")
            assert json.loads((await client.ask(ready))[2]) == {"name": "m", "ready": True}
            expected += 1
            assert served.short == expected
        for cut in (1, 30, len(usual) - 5):
            assert (await client.ask(usual[:cut], usual[cut:]))[0] == 200
        assert served.short == expected
        assert (await client.ask(usual))[0] == 200
        assert served.short == expected + 1

    run(tmp_path, test)


def test_what_comes_before_the_answer_is_answered_after_it(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        client = await served.connect()
        client.writer.write(request({"inputs": ["wait"]}))
        await served.batcher.asked.wait()
        for text in ("a", "bb"):
            client.writer.write(request({"inputs": [text]}))
            await asyncio.sleep(0.02)
        served.batcher.go.set()
        answers = [json.loads((await client.answer())[2])["predictions"] for _ in range(3)]
        assert answers == [[{"length": 4}], [{"length": 1}], [{"length": 2}]]

    run(tmp_path, test)


def test_who_is_answered_by_the_parser_is_answered_first(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        client = await served.connect()
        client.writer.write(request({"inputs": ["wait"]}, PATH, "Connection: keep-alive"))
        await served.batcher.asked.wait()
        client.writer.write(request({"inputs": ["a"]}))
        await asyncio.sleep(0.05)
        served.batcher.go.set()
        answers = [json.loads((await client.answer())[2])["predictions"] for _ in range(2)]
        assert answers == [[{"length": 4}], [{"length": 1}]]
        assert served.short == 0

    run(tmp_path, test)


def test_what_comes_with_the_answer_is_heard(tmp_path: Path) -> None:
    """A part of a head that comes in the moment in which the answer before goes out."""

    async def test(served: Served) -> None:
        client, asked = await served.connect(), request({"inputs": ["a"]})
        for _ in range(100):
            client.writer.write(asked)
            await client.answer()
            client.writer.write(asked[:30])
            await client.writer.drain()
            await asyncio.sleep(0)
            assert (await client.ask(asked[30:]))[0] == 200
        (connection,) = served.server.server_state.connections
        assert not cast("Any", connection).flow.read_paused
        client.writer.close()
        while served.server.server_state.connections:
            await asyncio.sleep(0.01)

    run(tmp_path, test)


class Panic(BaseException):
    """As a plugin's library in Rust raises it."""


@pytest.mark.parametrize("error", [Panic(), asyncio.CancelledError()])
def test_who_gets_no_answer_gets_no_others(
    tmp_path: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Any:
        raise error

    async def test(served: Served) -> None:
        monkeypatch.setattr(Task, "read_inputs", broken)
        client = await served.connect()
        client.writer.write(request({"inputs": ["a"]}))
        assert await client.reader.read() == b""

    run(tmp_path, test)


def test_a_request_without_an_id_is_given_one(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        client = await served.connect()
        for _ in range(2):
            _, headers, body = await client.ask(request({"inputs": ["a"]}))
            assert headers["x-request-id"] == json.loads(body)["id"]
        first, second = served.recorder.records
        assert first.id != second.id == headers["x-request-id"]

    run(tmp_path, test)


def test_a_body_is_never_taken_for_a_request(tmp_path: Path) -> None:
    """An answer may go out before the body is read, which then holds what looks like one."""

    async def test(served: Served) -> None:
        client = await served.connect()
        hidden = request({"inputs": ["a"]})
        first = request(b"x" * 500 + hidden, "/v2/models/m/ready")
        status, _, _ = await client.ask(first[: -len(hidden)])
        assert status == 405
        client.writer.write(hidden)
        await asyncio.sleep(0.05)
        assert (await client.ask(request({"inputs": ["bb"]})))[2].endswith(b'[{"length":2}]}')
        assert served.short == 1

    run(tmp_path, test)


def test_who_leaves_is_answered_no_more(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        client = await served.connect()
        client.writer.write(request({"inputs": ["wait"]}))
        await served.batcher.asked.wait()
        client.writer.close()
        while not served.recorder.records:
            await asyncio.sleep(0.01)
        assert [record.status for record in served.recorder.records] == [499]
        assert (await (await served.connect()).ask(request({"inputs": ["a"]})))[0] == 200

    run(tmp_path, test)


def test_a_server_that_ends_answers_first(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        client, idle = await served.connect(), await served.connect()
        assert (await idle.ask(request({"inputs": ["a"]})))[0] == 200
        client.writer.write(request({"inputs": ["wait"]}))
        await served.batcher.asked.wait()
        served.server.should_exit = True
        assert await idle.reader.read() == b""
        served.batcher.go.set()
        status, headers, _ = await client.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert await client.reader.read() == b""

    run(tmp_path, test)


def test_nobody_is_answered_without_a_key(tmp_path: Path) -> None:
    def nobody(authorization: str | None) -> Any:
        raise UnauthorizedError(f"not {authorization}")

    async def test(served: Served) -> None:
        client = await served.connect()
        asked = request({"inputs": ["a"]}, PATH, "Authorization: Bearer k")
        status, headers, body = await client.ask(asked)
        assert (served.short, status, headers["www-authenticate"]) == (1, 401, "Bearer")
        assert json.loads(body) == {"error": "not Bearer k"}

    run(tmp_path, test, authenticate=nobody)


def test_every_server_of_the_process_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(HTTP_PROTOCOLS, "auto", HTTP_PROTOCOLS["auto"])
    inference: Any = object()
    open_lane(inference)
    config = uvicorn.Config(cast("Any", None), lifespan="off")
    config.load()
    found = cast("Any", config.http_protocol_class)
    assert (found.func, found.args) == (Lane, (inference,))
