"""The only attempt loop of the package.

A call's first attempt is made directly. When it fails, tenacity takes over: it is given that failure as the outcome of
its own first attempt, and drives all that follow. So a call that succeeds at once pays nothing for the retry machinery,
and every call that fails is treated alike: one pure function, `decide`, says what follows, and one deadline spans
queueing, attempts and waits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import urlsplit

import anyio
from tenacity import AsyncRetrying, RetryCallState

from ._config import Clock, Endpoint, Options
from ._hooks import RetryEvent, report_retry
from ._limits import Gate, Line, Permits
from ._runtime import Runtime, Runtimes
from ._sansio.envelope import decode_status_error
from ._sansio.request import PreparedRequest, RetrySafety
from ._sansio.retry import GiveUp, Retry, decide, is_ambiguous
from ._sansio.retry_after import parse_retry_after
from ._transports import TransportResponse, WireRequest
from .errors import (
    APIConnectionError,
    APITimeoutError,
    RateLimitError,
    RelayDanceError,
    ResponseDecodeError,
    ServerError,
)
from .models.meta import AttemptRecord, ResponseMeta

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_REQUEST_ID_HEADERS = ("x-oneapi-request-id", "x-request-id", "cf-ray")
_HIDDEN_HEADERS = frozenset({"set-cookie", "authorization", "proxy-authenticate"})
_ERROR_BODY_LIMIT = 1024 * 1024


class Receiver(Protocol[T_co]):
    """What becomes of an answer with a good status."""

    async def __call__(self, exchange: Exchange, /) -> T_co: ...


class Exchange:
    """An answer with its permit, handed to whoever reads it. `aclose` gives both back."""

    def __init__(
        self, attempt: Attempt, response: TransportResponse, runtime: Runtime, runtimes: Runtimes, limit: int
    ) -> None:
        self.attempt = attempt
        self.response = response
        self._runtime: Runtime | None = runtime
        # The connections break when the client becomes garbage; a stream may outlive the caller's client.
        self._runtimes = runtimes
        self.limit = limit
        self.kept_open = False
        """Set by a receiver that goes on reading after it has returned; it closes the exchange itself."""

    async def read(self) -> bytes:
        """The whole body, up to the client's limit."""
        return await self.response.read(self.limit)

    async def aclose(self) -> None:
        """Close the answer and give the permit back. Safe to call twice."""
        runtime, self._runtime = self._runtime, None
        if runtime is None:
            return
        runtime.streams.discard(self.response)
        try:
            await self.response.aclose()
        finally:
            runtime.permits.release()

    def __del__(self) -> None:
        if self._runtime is not None:  # a stream that nobody closed
            self._runtime.take_back(self.response)


class Attempt:
    """One attempt, as far as it has come.

    It knows the call's request and earlier records, but not the call, which knows it: a cycle would leave each call to
    the garbage collector, which at thousands in flight costs more than all else.
    """

    __slots__ = ("_clock", "_records", "_request", "_response", "_started", "number", "passed_at", "wire")

    def __init__(self, request: PreparedRequest, records: tuple[AttemptRecord, ...], number: int, clock: Clock) -> None:
        self._request = request
        self._records = records
        self._clock = clock
        self._started = clock.monotonic()
        self._response: TransportResponse | None = None
        self.number: int = number
        self.passed_at: float = 0.0
        """When it passed the gate."""
        self.wire: WireRequest | None = None

    @property
    def maybe_accepted(self) -> bool:
        """Whether the request may have reached the gateway, without an answer so far."""
        return self.wire is not None and self.wire.progress.reached.maybe_accepted

    def answered(self, response: TransportResponse) -> None:
        """The head of an answer has come."""
        self._response = response

    def meta(self) -> ResponseMeta:
        """The circumstances, for an error."""
        response = self._response
        headers = _plain_headers(response.headers) if response is not None else {}
        return ResponseMeta(
            method=self._request.method,
            path=self._request.path,
            status_code=response.status_code if response is not None else None,
            headers=headers,
            request_id=next((headers[name] for name in _REQUEST_ID_HEADERS if headers.get(name)), None),
            attempts=self._records,
            sent_at=self.started_at(),
        )

    def started_at(self) -> datetime:
        """When it began (UTC)."""
        return self._clock.now() - timedelta(seconds=self._clock.monotonic() - self._started)

    def record(self, error: RelayDanceError) -> AttemptRecord:
        """The attempt as its error will list it."""
        return AttemptRecord(
            number=self.number,
            started_at=self.started_at(),
            elapsed=self._clock.monotonic() - self._started,
            error=type(error).__name__,
            status_code=error.status_code,
            code=error.code,
        )


class Call(Generic[T]):
    """One call on its way through its attempts."""

    __slots__ = (
        "attempt",
        "clock",
        "decision",
        "maybe_accepted",
        "number",
        "options",
        "receive",
        "records",
        "request",
        "started",
    )

    def __init__(self, request: PreparedRequest, receive: Receiver[T], options: Options, clock: Clock) -> None:
        self.request: PreparedRequest = request
        self.receive: Receiver[T] = receive
        self.options: Options = options
        self.clock: Clock = clock
        self.started: float = clock.monotonic()
        self.number: int = 0
        self.attempt: Attempt | None = None
        self.records: tuple[AttemptRecord, ...] = ()
        self.decision: Retry | GiveUp | None = None
        self.maybe_accepted: bool = False

    @property
    def elapsed(self) -> float:
        """Seconds since the call began."""
        return self.clock.monotonic() - self.started

    def next_attempt(self) -> Attempt:
        """Begin one more."""
        self.number += 1
        self.attempt = Attempt(self.request, self.records, self.number, self.clock)
        return self.attempt

    def time_left(self) -> float | None:
        """Seconds until the deadline, or None without one."""
        deadline = self.options.deadline
        return None if deadline is None else deadline - self.elapsed


class Controller:
    """Executes calls: admission, transport, decoding, and the retries of all three."""

    def __init__(self, endpoint: Endpoint, runtimes: Runtimes, gate: Gate, clock: Clock) -> None:
        self._endpoint = endpoint
        self._runtimes = runtimes
        self._gate = gate
        self.clock = clock
        self.base_url: str = endpoint.base_url

    @property
    def waits(self) -> set[object]:
        """One for each wait for a task under way, in any event loop."""
        return self._runtimes.waits

    def execute(self, request: PreparedRequest, receive: Receiver[T], options: Options) -> Awaitable[T]:
        """Make the call; the result is to be awaited, once.

        Raises:
            RelayDanceError: of the last attempt, with `attempts` listing them all.

        Cancelling it closes the connection in use and gives its permit back; a billed request that was already on the
        wire may have been accepted.
        """
        call = Call(request, receive, options, self.clock)
        return self._attempts(call) if options.deadline is None else self._within(options.deadline, call)

    async def _within(self, deadline: float, call: Call[T]) -> T:
        with anyio.move_on_after(deadline):
            return await self._attempts(call)
        raise _deadline_error(call)

    async def _attempts(self, call: Call[T]) -> T:
        try:
            return await self._attempt(call)
        except RelayDanceError as error:
            first = error
        return await self._repeat(call, first)

    # Apart from the above, because the variables of its closures would burden every call that succeeds at once.
    async def _repeat(self, call: Call[T], first: RelayDanceError | None) -> T:
        async def next_outcome() -> T:
            nonlocal first
            failure, first = first, None
            if failure is not None:
                raise failure
            return await self._attempt(call)

        async def report(state: RetryCallState) -> None:
            await self._report(call, state)

        # A fresh one for each call: it keeps its state on itself.
        retrying = AsyncRetrying(
            retry=lambda state: self._is_repeated(call, state),
            wait=lambda state: call.decision.after if isinstance(call.decision, Retry) else 0.0,
            before_sleep=report,  # a coroutine function: tenacity awaits nothing that a lambda returns
            sleep=self.clock.sleep,
            reraise=True,
        )
        return await retrying(next_outcome)

    def _is_repeated(self, call: Call[Any], state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome is not None else None
        if not isinstance(error, RelayDanceError):
            return False  # a result, or a cancellation, which nobody but the caller may end
        call.decision = decide(
            error,
            attempt=call.number,
            elapsed=call.elapsed,
            deadline=call.options.deadline,
            safety=call.request.safety,
            repeatable=call.request.repeatable,
            policy=call.options.retry,
            jitter=self.clock.random(),
        )
        if isinstance(call.decision, Retry):
            call.records = (*call.records[:-1], replace(call.records[-1], wait=call.decision.after))
        return isinstance(call.decision, Retry)

    async def _report(self, call: Call[Any], state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, RelayDanceError) and isinstance(call.decision, Retry):
            event = RetryEvent(
                attempt=call.number,
                error=error,
                wait=call.decision.after,
                elapsed=call.elapsed,
                method=call.request.method,
                path=call.request.path,
            )
            await report_retry(call.options.on_retry, event)

    async def _attempt(self, call: Call[T]) -> T:
        attempt = call.next_attempt()
        runtime = self._runtimes.find() or await self._runtimes.current()
        failure: RelayDanceError
        try:
            result = await self._admitted(call, attempt, runtime)
        except RelayDanceError as error:
            failure = error
        else:
            if not call.request.is_foreign:
                runtime.permits.grow()
            return result
        if not call.request.is_foreign:
            self._learn_from(failure, attempt, runtime.permits)
        raise _completed(failure, call, attempt)

    async def _admitted(self, call: Call[T], attempt: Attempt, runtime: Runtime) -> T:
        await runtime.permits.acquire()
        try:
            if not call.request.is_foreign:
                attempt.passed_at = await self._pass_gate(call, runtime.line)
            wire = attempt.wire = self._build_wire(call)
            transport = await runtime.public() if call.request.public_only else runtime.transport
            response = await transport.send(wire)
        except BaseException:
            runtime.permits.release()
            raise
        attempt.answered(response)
        exchange = Exchange(attempt, response, runtime, self._runtimes, call.options.max_response_bytes)
        try:
            if not 200 <= response.status_code < 300:
                raise await self._status_error(exchange)
            return await call.receive(exchange)
        finally:
            if exchange.kept_open:
                runtime.streams.add(response)
            else:
                await exchange.aclose()

    async def _pass_gate(self, call: Call[Any], line: Line) -> float:
        pause, left = self._gate.remaining(), call.time_left()
        if pause and left is not None and pause >= left:
            raise RateLimitError(
                f"the key is cooling down after a 429 for {pause:.1f} s more, longer than the deadline allows",
                retry_after=pause,
                retryable=True,
            )
        return await self._gate.wait(line)

    def _build_wire(self, call: Call[Any]) -> WireRequest:
        request, options = call.request, call.options
        if request.is_foreign:
            headers = {"user-agent": options.headers["user-agent"], **request.headers}
            peer = urlsplit(request.path).hostname or "the host"
            return WireRequest(request.method, request.path, headers, request.body, options.timeout, peer=peer)
        headers = {**options.headers, **request.headers}
        headers["authorization"] = f"Bearer {self._endpoint.api_key.reveal()}"
        return WireRequest(request.method, self._endpoint.url(request.path), headers, request.body, options.timeout)

    async def _status_error(self, exchange: Exchange) -> RelayDanceError:
        try:
            body = await exchange.response.read(min(exchange.limit, _ERROR_BODY_LIMIT))
        except RelayDanceError:
            body = b""  # the status is known, and says more than how its body broke off
        meta = exchange.attempt.meta()
        return decode_status_error(meta, body, retry_after=parse_retry_after(meta.headers, self.clock.now()))

    def _learn_from(self, error: RelayDanceError, attempt: Attempt, permits: Permits) -> None:
        if isinstance(error, RateLimitError) and error.status_code is not None:
            retry_after = error.retry_after if error.retry_after is not None else _COOL_DOWN
            self._gate.refused(retry_after, attempt.passed_at)
        elif isinstance(error, ServerError) and error.code is not None and error.code.endswith("_overloaded"):
            permits.shrink()


_COOL_DOWN = 1.0
"""Seconds; the pause after a 429 that doesn't say how long. The API documents no number."""


def _completed(error: RelayDanceError, call: Call[Any], attempt: Attempt) -> RelayDanceError:
    """The error with everything that only the call knows."""
    error.task_id = error.task_id or call.request.task_id
    if isinstance(error, APIConnectionError) and not is_ambiguous(error, call.request.safety):
        error.maybe_accepted = False
    if isinstance(error, ResponseDecodeError) and call.request.safety is RetrySafety.BILLED:
        error.maybe_accepted = True
    # An earlier attempt may have been accepted, whatever became of this one.
    error.maybe_accepted = call.maybe_accepted = call.maybe_accepted or error.maybe_accepted
    error.meta = attempt.meta()
    call.records += (attempt.record(error),)
    error.meta = replace(error.meta, attempts=call.records)
    return error


def _deadline_error(call: Call[Any]) -> RelayDanceError:
    attempt = call.attempt or call.next_attempt()
    if call.records and call.records[-1].number == attempt.number:
        attempt = call.next_attempt()  # the last one has ended; time ran out before the next was sent
    error = APITimeoutError(
        f"no result within the deadline of {call.options.deadline:g} s",
        maybe_accepted=attempt.maybe_accepted,
        retryable=True,
    )
    return _completed(error, call, attempt)


def _plain_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items() if name.lower() not in _HIDDEN_HEADERS}
