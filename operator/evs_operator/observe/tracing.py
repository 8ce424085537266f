"""Traces from a poll to the status write, for those who run OpenTelemetry.

The supervisor asks `tracing_of(environment)` once. Without the variables of OpenTelemetry that name a receiver, or
without the extra `evs-operator[otel]`, it gets `NO_TRACING`: nothing is imported and a span is one method call. The
operator opens spans and knows nothing of OpenTelemetry.

Deliberately not done: sending `traceparent` to the cloud, which does not take it up and is somebody else's; recording
exceptions, whose words may quote a server (a span tells the reason and no text).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

from evs_operator import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OtelSpan

_RECEIVERS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_CLOSE_WITHIN: Final = 2.0
_NOTHING: Final[Mapping[str, str]] = {}

_log = logging.getLogger(__name__)


class Span:
    """One step of the work. This one goes nowhere."""

    def tell(self, attributes: Mapping[str, str]) -> None:
        """Add attributes."""

    def fail(self) -> None:
        """Mark the step as one that did not do what it should."""


class Tracing:
    """Opens spans that go nowhere."""

    def __init__(self) -> None:
        self._nothing = nullcontext(Span())

    def span(self, name: str, attributes: Mapping[str, str] = _NOTHING) -> AbstractContextManager[Span]:
        """Open a span around a block; one inside another is its child."""
        return self._nothing

    def ids(self) -> Mapping[str, str]:
        """Return `trace_id` and `span_id` of the open span, for a log line; empty where there is none."""
        return {}

    def close(self) -> None:
        """Send what is left, for two seconds at most."""


NO_TRACING: Final = Tracing()


def receiver_of(environment: Mapping[str, str]) -> str | None:
    """Return the name of the variable that asks for traces; None where none does, or all are switched off."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    return next((name for name in _RECEIVERS if environment.get(name)), None)


def tracing_of(environment: Mapping[str, str]) -> Tracing:
    """Return what the variables of OpenTelemetry ask for; say so where it cannot be had."""
    named = receiver_of(environment)
    if named is None:
        return NO_TRACING
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        _log.warning("tracing is off: %s is set but OpenTelemetry is not installed; install evs-operator[otel]", named)
        return NO_TRACING
    own = {"service.name": environment.get("OTEL_SERVICE_NAME") or "evs-operator", "service.version": __version__}
    provider = TracerProvider(resource=Resource.create(own), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _log.info("tracing is on: traces go to the receiver of %s", named)
    return OpenTelemetry(provider)


class OpenTelemetry(Tracing):
    """Opens spans of a provider of OpenTelemetry's SDK."""

    def __init__(self, provider: TracerProvider) -> None:
        super().__init__()
        self._provider = provider
        self._tracer = provider.get_tracer("evs_operator", __version__)

    def span(self, name: str, attributes: Mapping[str, str] = _NOTHING) -> AbstractContextManager[Span]:
        """Open a span around a block; one inside another, in the same task, is its child."""
        return self._open(name, attributes)

    @contextmanager
    def _open(self, name: str, attributes: Mapping[str, str]) -> Iterator[Span]:
        opened = self._tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False)
        with opened as inner:
            span = _Span(inner)
            span.tell(attributes)
            try:
                yield span
            except Exception:
                span.fail()
                raise

    def ids(self) -> Mapping[str, str]:
        """Return the ids of the open span in the form of W3C trace context."""
        from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

        context = get_current_span().get_span_context()
        if not context.is_valid:
            return {}
        return {"trace_id": format_trace_id(context.trace_id), "span_id": format_span_id(context.span_id)}

    def close(self) -> None:
        """Send what is left; what the receiver does not take in time is dropped."""
        # The exporter waits for a receiver that hangs longer than a process may take to end.
        closing = threading.Thread(target=self._provider.shutdown, name="close traces", daemon=True)
        closing.start()
        closing.join(_CLOSE_WITHIN)


class _Span(Span):
    def __init__(self, inner: OtelSpan) -> None:
        self._inner = inner

    def tell(self, attributes: Mapping[str, str]) -> None:
        self._inner.set_attributes(dict(attributes))

    def fail(self) -> None:
        from opentelemetry.trace import StatusCode

        self._inner.set_status(StatusCode.ERROR)
