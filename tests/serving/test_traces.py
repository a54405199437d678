"""Requests as spans, as OpenTelemetry's own exporter sends them to a collector."""

import asyncio
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from regraft.errors import InvalidInputError
from regraft.serving.batcher import Batcher
from regraft.serving.call import recorded
from regraft.serving.memory import BackboneMemory
from regraft.serving.telemetry import Silent
from regraft.serving.traces import ENDPOINTS, Traces, check_traces, traces_wanted
from regraft.serving.waiting import Limits
from tests.serving.test_batcher import Gate, predictor

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector(ThreadingHTTPServer):
    """Takes what is sent to it as OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = ExportTraceServiceRequest()
                message.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
                for resource in message.resource_spans:
                    named = {a.key: a.value.string_value for a in resource.resource.attributes}
                    collector.services.add(named["service.name"])
                    for scope in resource.scope_spans:
                        collector.spans += scope.spans
                self.send_response(200)
                self.end_headers()

            def log_message(self, *parts: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    for name in ("OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_TRACES_SAMPLER", *ENDPOINTS):
        monkeypatch.delenv(name, raising=False)
    server = Collector()
    monkeypatch.setenv(ENDPOINTS[0], f"http://127.0.0.1:{server.server_address[1]}")
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def traced(traces: Traces, carrier: dict[str, str], rows: list[str]) -> None:
    async def main() -> None:
        with ThreadPoolExecutor(1) as worker:
            batcher = Batcher(worker, Limits(2), Silent(), BackboneMemory(list))
            trace = traces.begin(carrier)
            with recorded(Silent(), lambda: "tweets", "r-1", trace) as call:
                call.rows, call.version = len(rows), "3"
                await batcher.predict(predictor(Gate()), rows, batches=call.batches)

    try:
        asyncio.run(main())
    except ValueError:
        pass
    finally:
        traces.close()


def test_a_request_is_a_span_in_its_callers_trace_with_its_steps_inside(
    collector: Collector,
) -> None:
    traces = traces_wanted()
    assert traces is not None
    traced(traces, {"traceparent": PARENT}, ["a", "bb", "c"])
    (request,) = [span for span in collector.spans if span.name == "predict"]
    assert request.trace_id.hex() == PARENT.split("-")[1]
    assert request.parent_span_id.hex() == PARENT.split("-")[2]
    found = {a.key: a.value.string_value or a.value.int_value for a in request.attributes}
    assert found == {
        "regraft.endpoint": "tweets",
        "regraft.version": "3",
        "regraft.rows": 3,
        "regraft.request.id": "r-1",
        "http.response.status_code": 200,
    }
    inner = [span for span in collector.spans if span.parent_span_id == request.span_id]
    names = sorted(span.name for span in inner)
    assert names == sorted(["queue", "encoding", "computing", "answering"] * 2), "two batches"
    for span in inner:
        assert request.start_time_unix_nano - 10**6 <= span.start_time_unix_nano
        assert span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= request.end_time_unix_nano + 10**6
    assert collector.services == {"regraft"}


def test_a_request_that_fails_is_a_span_that_failed(collector: Collector) -> None:
    traces = traces_wanted()
    assert traces is not None
    traced(traces, {}, ["poison"])
    (request,) = [span for span in collector.spans if span.name == "predict"]
    assert request.status.code == request.status.STATUS_CODE_ERROR
    assert request.parent_span_id == b""


def test_what_the_caller_does_not_sample_is_no_span(collector: Collector) -> None:
    traces = traces_wanted()
    assert traces is not None
    assert traces.begin({"traceparent": PARENT[:-1] + "0"}) is None
    traced(traces, {"traceparent": PARENT[:-1] + "0"}, ["a"])
    assert collector.spans == []


def test_nothing_is_traced_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    check_traces()
    assert traces_wanted() is None


def test_an_exporter_that_is_missing_is_told_before_the_server_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(ENDPOINTS[0], "http://127.0.0.1:4318")
    check_traces()
    name = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InvalidInputError, match=r"pip install 'regraft\[traces\]'"):
        check_traces()
