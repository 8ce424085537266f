"""Traces: a tree from poll to write without a secret, and nothing at all where nobody asked for them."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from evs_operator.observe.tracing import NO_TRACING, OpenTelemetry, tracing_of

RECEIVER = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


@pytest.fixture
def memory() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(memory: InMemorySpanExporter) -> OpenTelemetry:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    return OpenTelemetry(provider)


def by_name(memory: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in memory.get_finished_spans()}


def test_a_span_inside_another_is_its_child(tracing: OpenTelemetry, memory: InMemorySpanExporter) -> None:
    with tracing.span("evsjob", {"evsjob": "team-a/disk"}), tracing.span("poll") as poll:
        poll.tell({"reason": "PollSucceeded"})
    spans = by_name(memory)
    parent, context = spans["poll"].parent, spans["evsjob"].context
    assert parent is not None
    assert context is not None
    assert parent.span_id == context.span_id
    assert dict(spans["evsjob"].attributes or {}) == {"evsjob": "team-a/disk"}
    assert dict(spans["poll"].attributes or {}) == {"reason": "PollSucceeded"}


def test_an_exception_marks_the_span_and_leaves_no_text_in_it(
    tracing: OpenTelemetry, memory: InMemorySpanExporter
) -> None:
    with pytest.raises(ValueError, match="s3cr3t"), tracing.span("write"):
        raise ValueError("s3cr3t")
    span = by_name(memory)["write"]
    assert not span.status.is_ok
    assert "s3cr3t" not in span.to_json()


def test_the_ids_of_a_log_line_are_those_of_the_open_span(tracing: OpenTelemetry, memory: InMemorySpanExporter) -> None:
    assert tracing.ids() == {}
    with tracing.span("evsjob"):
        ids = tracing.ids()
    context = by_name(memory)["evsjob"].context
    assert context is not None
    assert ids == {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


@pytest.mark.parametrize(
    "environment", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, {**RECEIVER, "OTEL_SDK_DISABLED": "true"}]
)
def test_without_a_receiver_there_is_no_tracing(environment: dict[str, str]) -> None:
    assert tracing_of(environment) is NO_TRACING
    with NO_TRACING.span("evsjob", {"evsjob": "a/b"}) as span:
        span.tell({"reason": "x"})
        span.fail()
        assert NO_TRACING.ids() == {}
    NO_TRACING.close()


def test_a_receiver_without_the_extra_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with caplog.at_level(logging.WARNING):
        assert tracing_of(RECEIVER) is NO_TRACING
    assert [record.getMessage() for record in caplog.records] == [
        "tracing is off: OTEL_EXPORTER_OTLP_ENDPOINT is set but OpenTelemetry is not installed; "
        "install evs-operator[otel]"
    ]


def test_a_receiver_that_is_not_there_does_not_hold_up_the_end() -> None:
    tracing = tracing_of(RECEIVER)
    with tracing.span("evsjob"):
        pass
    tracing.close()


def test_nothing_of_opentelemetry_is_imported_where_it_is_not_asked_for() -> None:
    code = (
        "import sys, evs_operator.runtime.supervisor; sys.exit(any(m.startswith('opentelemetry') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
