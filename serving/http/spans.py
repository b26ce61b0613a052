"""A span for each request, sent to a collector of OpenTelemetry (extra ``telemetry``).

The instrumentation that there is for ASGI puts the path and the query into a span, and these have
ids of customers. A span of this module has the template of the route. The packages are imported
where a collector is named, and not else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from importlib.metadata import version
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stagecast.features.errors import UsageError
from stagecast.serving.http.access import access_of
from stagecast.serving.metrics.meter import METHODS
from stagecast.serving.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

EXPORT_SECONDS = 5.0
"""How long the collector may take for one batch of spans."""
_NAMES = {b"traceparent": "traceparent", b"tracestate": "tracestate"}


class Spans:
    """Makes a span of each request.

    Parameters
    ----------
    provider
        Where spans go.
    """

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self.provider = provider
        self._tracer = provider.get_tracer("stagecast", version("stagecast"))
        self._extract = TraceContextTextMapPropagator().extract
        self._kind, self._failed = SpanKind.SERVER, Status(StatusCode.ERROR)

    async def run(
        self,
        app: ASGIApp | Callable[[Scope, Receive, Send], Awaitable[None]],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Handle a request within a span, which goes on the trace that the caller began."""
        # a method can be any text, and the name of a span is a label as that of a metric
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        status = 0

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._tracer.start_as_current_span(
            method,
            context=self._extract(_carrier(scope["headers"])),
            kind=self._kind,
            attributes={
                "http.request.method": method,
                "url.scheme": str(scope.get("scheme", "http")),
                "network.protocol.version": str(scope.get("http_version", "1.1")),
                "stagecast.request_id": str(scope.get("state", {}).get("request_id", "")),
            },
            # the text of an exception can hold an id
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                await app(scope, receive, send_noting)
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(self._failed)
                raise
            finally:
                template = access_of(scope).template
                if template is not None:
                    span.update_name(f"{method} {template}")
                    span.set_attribute("http.route", template)
                if status:
                    span.set_attribute("http.response.status_code", status)
                if status >= 500:
                    span.set_status(self._failed)

    def stop(self) -> None:
        """Send what is left, and stop."""
        self.provider.shutdown()


def spans_of(settings: Settings) -> Spans | None:
    """Return what makes spans; None where no collector is named.

    Raises
    ------
    UsageError
        A collector is named, and the packages are not installed.
    """
    if settings.telemetry_url is None:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
    except ImportError:
        raise UsageError(
            "STAGECAST_TELEMETRY_URL is set, and OpenTelemetry is not installed: "
            "pip install 'stagecast[telemetry]', or leave the setting out"
        ) from None
    provider = TracerProvider(
        sampler=ParentBasedTraceIdRatio(settings.telemetry_share),
        resource=Resource.create(
            {"service.name": "stagecast", "service.version": version("stagecast")}
        ),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=settings.telemetry_url, timeout=EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Spans(provider)


def _carrier(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {_NAMES[name]: value.decode("latin-1") for name, value in headers if name in _NAMES}
