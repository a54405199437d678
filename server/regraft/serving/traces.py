"""Requests as OpenTelemetry spans, sent wherever the standard variables `OTEL_…` say."""

import logging
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from regraft.errors import InvalidInputError

if TYPE_CHECKING:
    from regraft.serving.call import Call

log = logging.getLogger("regraft.serving")

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
STEPS = ("encoding", "computing", "answering")


class Trace:
    """The span of one request, which ends with its call."""

    def __init__(self, traces: "Traces", carrier: Mapping[str, str]) -> None:
        self.traces = traces
        context = traces.propagator.extract(carrier)
        self.span = traces.tracer.start_span("predict", context, kind=traces.server)

    def end(self, call: "Call", endpoint: str) -> None:
        """A span for what its rows waited and for each step of their batches is within it."""
        from opentelemetry.trace import set_span_in_context

        attributes: dict[str, str | int] = {
            "regraft.endpoint": endpoint,
            "regraft.version": call.version,
            "regraft.rows": call.rows,
            "regraft.request.id": call.id,
            "http.response.status_code": call.status or 500,
        }
        self.span.set_attributes(attributes)
        inside = set_span_in_context(self.span)
        for record, queued in call.batches or ():
            begin = record.begin - queued
            self._step("queue", inside, begin, queued, 0)
            begin += queued
            for name in STEPS:
                self._step(name, inside, begin, getattr(record, name), record.rows)
                begin += getattr(record, name)
        if (call.status or 500) >= 500:
            self.span.set_status(self.traces.failed)
        self.span.end()

    def _step(self, name: str, inside: Any, begin: float, seconds: float, rows: int) -> None:
        ends = [round((at + self.traces.offset) * 1e9) for at in (begin, begin + seconds)]
        attributes = {"regraft.batch.rows": rows} if rows else {}
        span = self.traces.tracer.start_span(
            name, inside, attributes=attributes, start_time=ends[0]
        )
        span.end(ends[1])


class Traces:
    """Makes a trace of each request that is sampled."""

    def __init__(self, exporter: Any) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import SpanKind, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "regraft"}
        self.provider = TracerProvider(resource=Resource.create(named))
        self.provider.add_span_processor(BatchSpanProcessor(exporter))
        self.tracer = self.provider.get_tracer("regraft")
        self.propagator = TraceContextTextMapPropagator()
        self.server, self.failed = SpanKind.SERVER, StatusCode.ERROR
        self.offset = time.time() - time.perf_counter()

    def begin(self, carrier: Mapping[str, str]) -> Trace | None:
        """A trace that goes on where the caller's `traceparent` says; None if it is not sampled."""
        trace = Trace(self, carrier)
        return trace if trace.span.is_recording() else None

    def close(self) -> None:
        """Send what is not sent yet."""
        self.provider.shutdown()


def check_traces() -> None:
    """InvalidInputError where traces are wanted and cannot be sent."""
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return
    try:
        import opentelemetry.exporter.otlp.proto.http.trace_exporter  # noqa: F401
    except ImportError as error:
        raise InvalidInputError(
            "OTEL_EXPORTER_OTLP_ENDPOINT wants traces, but their exporter is not installed: "
            "pip install 'regraft[traces]'."
        ) from error


def traces_wanted() -> Traces | None:
    """Traces over OTLP (HTTP, protobuf), if the environment says to where."""
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        log.warning("no traces: their exporter is not installed on this node")
        return None
    return Traces(OTLPSpanExporter())


def environment() -> dict[str, str]:
    """The variables that replicas on other nodes have to know too."""
    return {name: value for name, value in os.environ.items() if name.startswith("OTEL_")}
