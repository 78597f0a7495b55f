"""The spans of a call, of its attempts, and of a wait; what is measured is recorded at the same moments."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Token
from time import perf_counter
from typing import Any, Protocol, TypeAlias

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pydantic_core import from_json

from ..._sansio.observer import CallInfo, NoObserver
from ..._sansio.retry import Decision, Retry
from ...errors import APIConnectionError, RelayDanceError
from ...models.meta import AttemptRecord, ResponseMeta
from ...models.video import VideoTask
from .._facts import is_cancellation
from . import attributes, content, names
from .genai import GenAi
from .metrics import Metrics

_MOST_READ = 256 * 1024
"""Bytes of a request that are read for their settings: a larger one is mostly pictures."""

IN_WAIT = contexts.create_key("relaydance-wait")
_PROPAGATOR = TraceContextTextMapPropagator()

CostOf: TypeAlias = Callable[[CallInfo, object], float | None]


class Settings(Protocol):
    """What a hook was told; see `OpenTelemetry`."""

    @property
    def tracer(self) -> Tracer: ...

    @property
    def metrics(self) -> Metrics: ...

    @property
    def genai(self) -> GenAi: ...

    @property
    def content(self) -> bool: ...

    @property
    def propagate(self) -> bool: ...

    @property
    def cost(self) -> CostOf: ...

    @property
    def waiting(self) -> set[int]: ...


class CallSpans(NoObserver):
    """One call: its span, and one span for each attempt that had its turn."""

    def __init__(self, settings: Settings, call: CallInfo) -> None:
        self._of = settings
        self._call = call
        self._began = perf_counter()
        self._operation = attributes.operation_of(call)
        self._span = self._start()
        self._context = trace.set_span_in_context(self._span)
        self._attempt: _AttemptSpan | None = None
        self._attempts = 0
        self._why: str | None = None
        self._request_id: str | None = None
        self._result: object = None
        self._is_complete = False
        self._last_chunk: float | None = None

    def _start(self) -> Span:
        call, operation = self._call, self._operation
        known: attributes.Attributes = {names.CALL_ID: call.id}
        if call.task_id is not None:
            known[names.TASK_ID] = call.task_id
        if operation is None:
            known.update(attributes.server_of(call))
            return self._of.tracer.start_span(_http_name(call), kind=SpanKind.INTERNAL, attributes=known)
        known.update(attributes.common_of(call, operation) | attributes.output_of(call))
        if call.streams:
            known[names.REQUEST_STREAM] = True
        return self._of.tracer.start_span(f"{operation} {call.model}", kind=SpanKind.CLIENT, attributes=known)

    def asks(self, body: Callable[[], bytes]) -> None:
        if self._operation is None or not self._span.is_recording():
            return
        encoded = body()
        if len(encoded) > _MOST_READ:
            return
        asked = from_json(encoded)
        if isinstance(asked, dict):
            self._span.set_attributes(attributes.request_of(asked))  # pyright: ignore[reportUnknownArgumentType]
            if self._of.content:
                self._span.set_attributes(content.asked(asked))  # pyright: ignore[reportUnknownArgumentType]

    def queued(self, attempt: int) -> None:
        self._of.waiting.add(id(self))

    def held(self, attempt: int, why: str) -> None:
        self._why = why

    def admitted(self, attempt: int, queued_for: float, headers: dict[str, str]) -> None:
        self._of.waiting.discard(id(self))
        self._of.metrics.queued.record(queued_for, attributes.server_of(self._call))
        if self._why is not None:
            self._span.add_event(names.QUEUED, {names.WAIT: queued_for, names.WHY: self._why})
            self._why = None
        self._attempts += 1
        self._attempt = _AttemptSpan(self._of, self._call, self._attempts, self._context)
        if self._of.propagate and self._call.route:  # to the API alone
            _PROPAGATOR.inject(headers, self._attempt.context)

    def answered(self, attempt: int, meta: ResponseMeta) -> None:
        self._request_id = meta.request_id
        if self._attempt is not None:
            self._attempt.answered(meta)

    def streamed(self, chunk: object) -> None:
        now = perf_counter()
        known = self._common()
        if self._last_chunk is None:
            self._span.set_attribute(names.RESPONSE_FIRST_CHUNK, now - self._began)
            self._of.genai.first_chunk.record(now - self._began, known)
        else:
            self._of.genai.per_chunk.record(now - self._last_chunk, known)
        self._last_chunk = now

    def completed(self, result: object) -> None:
        self._is_complete = True
        self._result = result

    async def failed(self, record: AttemptRecord, error: RelayDanceError, decision: Decision, elapsed: float) -> None:
        self._end_attempt(error)
        if isinstance(decision, Retry):
            self._of.metrics.retries.add(1, self._common() | {names.ERROR_TYPE: type(error).__name__})
            about: dict[str, Any] = {names.WAIT: decision.after, names.ERROR_TYPE: type(error).__name__}
            self._span.add_event(names.RETRY, about)

    def ended(self, result: object, error: BaseException | None, maybe_accepted: bool) -> None:
        self._of.waiting.discard(id(self))
        result = self._result if result is None else result
        is_cancelled = error is not None and is_cancellation(error)
        failure = None if is_cancelled else error
        self._end_attempt(failure)
        span = self._span
        if span.is_recording():
            span.set_attributes(self._end(result, failure, is_cancelled=is_cancelled, maybe_accepted=maybe_accepted))
            if error is None and result is None and self._call.streams and not self._is_complete:
                span.set_attribute(names.LEFT, True)
        _fail(span, failure, told=self._of.content)
        self._record(result, failure)
        span.end()

    def _end(
        self, result: object, error: BaseException | None, *, is_cancelled: bool, maybe_accepted: bool
    ) -> attributes.Attributes:
        known = attributes.result_of(result)
        known[names.ATTEMPTS] = self._attempts
        if self._request_id is not None:
            known[names.REQUEST_ID] = self._request_id
        if is_cancelled:
            known[names.CANCELLED] = True
        if (is_cancelled or error is not None) and self._call.billed:
            known[names.MAYBE_ACCEPTED] = maybe_accepted
        if getattr(getattr(result, "meta", None), "replayed", False):
            known[names.REPLAYED] = True
        if self._of.content:
            known.update(content.answered(result))
        return known

    def _end_attempt(self, error: BaseException | None) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.end(error)

    def _common(self) -> attributes.Attributes:
        if self._operation is None:
            return attributes.server_of(self._call)
        return attributes.common_of(self._call, self._operation)

    def _record(self, result: object, error: BaseException | None) -> None:
        if self._operation is None:
            return
        genai, known = self._of.genai, self._common()
        if (model := attributes.model_of(result)) is not None:
            known[names.RESPONSE_MODEL] = model
        if self._attempts:  # what was replayed used nothing
            genai.used(attributes.tokens_used(result), known)
            if (cost := self._of.cost(self._call, result)) is not None:
                self._of.metrics.cost.add(cost, known)
                self._span.set_attribute(names.COST, cost)
        if error is not None:
            known[names.ERROR_TYPE] = type(error).__name__
        genai.ended(perf_counter() - self._began, known)


class _AttemptSpan:
    """One attempt: an HTTP request."""

    def __init__(self, settings: Settings, call: CallInfo, number: int, parent: Context) -> None:
        self._metrics = settings.metrics
        self._content = settings.content
        self._began = perf_counter()
        self._known: attributes.Attributes = {names.METHOD: call.method, **attributes.server_of(call)}
        known = self._known | {names.URL_FULL: call.url}
        if call.route:
            self._known[names.URL_TEMPLATE] = known[names.URL_TEMPLATE] = call.route
        if number > 1:
            known[names.RESEND_COUNT] = number - 1
        self._span = settings.tracer.start_span(_http_name(call), parent, SpanKind.CLIENT, known)
        self.context = trace.set_span_in_context(self._span, parent)

    def answered(self, meta: ResponseMeta) -> None:
        """The head of an answer came."""
        if meta.status_code is not None:
            self._known[names.STATUS_CODE] = meta.status_code
            self._span.set_attribute(names.STATUS_CODE, meta.status_code)
        if meta.request_id is not None:
            self._span.set_attribute(names.REQUEST_ID, meta.request_id)

    def end(self, error: BaseException | None) -> None:
        """It is over."""
        status = self._known.get(names.STATUS_CODE)
        if isinstance(status, int) and status >= 400:
            self._known[names.ERROR_TYPE] = str(status)
            self._span.set_attribute(names.ERROR_TYPE, str(status))
            self._span.set_status(StatusCode.ERROR)
        elif isinstance(error, RelayDanceError):
            self._known[names.ERROR_TYPE] = type(error).__name__
            _fail(self._span, error, told=self._content)
        self._metrics.http.record(perf_counter() - self._began, self._known)
        self._span.end()


class WaitSpan:
    """One wait for a video task. It is the current span, so that its polls are below it."""

    def __init__(self, settings: Settings, task_id: str) -> None:
        self._span = settings.tracer.start_span("video.wait", attributes={names.TASK_ID: task_id})
        self._content = settings.content
        context = contexts.set_value(IN_WAIT, True, trace.set_span_in_context(self._span))
        self._token: Token[Context] = contexts.attach(context)

    def polled(self, task: VideoTask | None, error: RelayDanceError | None, pause: float | None) -> None:
        """See `WaitObserver`, here and below."""
        known: dict[str, Any] = {} if pause is None else {names.WAIT: pause}
        if task is not None:
            known[names.TASK_STATUS] = task.status
            if task.progress is not None:
                known[names.TASK_PROGRESS] = task.progress
        if error is not None:
            known[names.ERROR_TYPE] = type(error).__name__
        self._span.add_event(names.POLL, known)

    def ended(self, task: VideoTask | None, error: BaseException | None) -> None:
        if task is not None:
            self._span.set_attribute(names.TASK_STATUS, task.status)
        if error is not None and is_cancellation(error):
            self._span.set_attribute(names.CANCELLED, True)
        else:
            _fail(self._span, error, told=self._content)
        self._span.end()
        contexts.detach(self._token)


def _http_name(call: CallInfo) -> str:
    return f"{call.method} {call.route}" if call.route else call.method


def _fail(span: Span, error: BaseException | None, *, told: bool) -> None:
    """An error. The words of one that was answered are the gateway's, and may quote what was asked."""
    if error is None:
        return
    if not isinstance(error, RelayDanceError):
        span.set_attribute(names.ERROR_TYPE, type(error).__qualname__)
        span.set_status(StatusCode.ERROR)
        return
    span.set_attributes(attributes.error_of(error))
    span.set_status(StatusCode.ERROR, error.message if told or isinstance(error, APIConnectionError) else None)
