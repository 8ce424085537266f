"""A receiver of OpenTelemetry traces (OTLP over HTTP) that keeps what it gets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from .serving import serving


class TraceReceiver:
    """Keeps the requests that were sent to it, byte for byte."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.url = ""

    def spans(self) -> list[Span]:
        """Return all spans so far."""
        parsed = [ExportTraceServiceRequest.FromString(body) for body in self.requests]
        return [
            span
            for request in parsed
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @contextmanager
    def serve(self) -> Iterator[None]:
        """Receive on a free port of this machine."""
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                requests.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Stay quiet."""

        with serving(Handler) as self.url:
            yield
