"""The one loop over the attempts of a call.

The first attempt is made directly. When it is to be repeated, tenacity drives the rest: each attempt gives an outcome,
which is the result or a `Failed` with the decision what to do next, and tenacity sleeps and goes on, or stops, as that
says. One pure function, `decide`, decides, and one deadline spans queueing, attempts and waits.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Generic, TypeVar

import anyio
from tenacity import DoSleep, RetryCallState, Retrying, retry_if_result

from .._config import Clock, Endpoint, Options
from .._limits import Admission, Ended, How, KeyPace, Kind, Lease, Ticket
from .._runtime import Runtime, Runtimes
from .._sansio.breakage import Progress, Reached
from .._sansio.envelope import decode_status_error
from .._sansio.outage import Failure
from .._sansio.redact import Redactor, one_line
from .._sansio.request import LargeJson, PreparedRequest, RetrySafety
from .._sansio.retry import ALL_SENT, Decision, GiveUp, Retry, Unsent, decide, is_ambiguous
from .._sansio.retry_after import parse_retry_after
from .._sansio.target import ApiTarget, Network, peer, shown
from .._transports import TransportResponse, WireRequest
from ..errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    RateLimitError,
    RelayDanceError,
    ServerError,
    mark_accepted,
)
from ..journal import Journal
from ..models.meta import ResponseMeta
from .answer import Answer, Deadline
from .attempt import Attempt, Phase
from .failure import build_failure, build_meta, settled, with_attempt
from .history import NO_HISTORY, History
from .lease import Holding
from .receive import Receiver
from .signing import Signing
from .watching import Watchers, watch

log = logging.getLogger("relaydance_async")

T = TypeVar("T")

_ERROR_BODY_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt failed, and this follows."""

    error: RelayDanceError
    decision: Decision


@dataclass(frozen=True, slots=True)
class Shared:
    """What all calls of a client share."""

    endpoint: Endpoint
    runtimes: Runtimes
    clock: Clock
    signing: Signing
    redactor: Redactor
    pace: KeyPace
    journal: Journal | None = None


class Call(Generic[T]):
    """One call on its way through its attempts."""

    __slots__ = (
        "_attempt",
        "_began",
        "_deadline",
        "_history",
        "_options",
        "_queued_since",
        "_receive",
        "_request",
        "_shared",
        "_unsent",
        "_watchers",
    )

    def __init__(self, shared: Shared, request: PreparedRequest, receive: Receiver[T], options: Options) -> None:
        self._shared = shared
        self._request = request
        self._receive = receive
        self._options = options
        self._began: float = 0.0
        self._attempt: Attempt | None = None
        self._deadline: Deadline | None = None
        self._history: History = NO_HISTORY
        self._queued_since: float | None = None
        self._unsent: Unsent = ALL_SENT
        self._watchers: Watchers | None = None

    async def run(self) -> T:
        """Attempt it until it succeeds or an error says that it won't."""
        self._began = self._shared.clock.monotonic()
        try:
            outcome = await self._next_attempt()
            if _wait_after(outcome) is not None:
                outcome = await self._repeat(outcome)
        except BaseException as error:
            self._mark(error)
            raise
        if not isinstance(outcome, Failed):
            return outcome
        _log_end(outcome.error)
        try:
            raise outcome.error from None
        finally:
            del outcome  # an error whose traceback leads to itself is left to the garbage collector

    async def run_within(self, deadline: float) -> T:
        """The same, within that many seconds."""
        with anyio.move_on_after(deadline) as scope:
            self._deadline = Deadline(deadline, scope.deadline)
            return await self.run()
        error = self._out_of_time(deadline)
        _log_end(error)
        try:
            raise error
        finally:
            del error  # as above

    async def run_watched(self) -> T:
        """The same, with observers."""
        self._watchers = watch(self._options.watching, self._request)
        deadline = self._options.deadline
        try:
            result = await (self.run() if deadline is None else self.run_within(deadline))
        except BaseException as error:
            if self._watchers is not None:
                self._watchers.ended(None, error, self._may_be_accepted())
            raise
        if self._watchers is not None:
            self._watchers.returned(result)
        return result

    def _mark(self, error: BaseException) -> None:
        """Let a cancellation tell whether it may have left something that is paid for."""
        if self._request.safety.billed and not isinstance(error, RelayDanceError):
            mark_accepted(error, self._may_be_accepted(), note=_ON_ITS_WAY)

    def _may_be_accepted(self) -> bool:
        attempt = self._attempt
        under_way = attempt is not None and attempt.phase is not Phase.ENDED and attempt.reached.maybe_accepted
        return self._history.maybe_accepted or under_way

    async def _repeat(self, outcome: T | Failed) -> T | Failed:
        # A fresh one for each call: it keeps its state on itself. Its asynchronous form would ask `inspect`, at each
        # step, whether our functions are coroutines, which takes longer than the attempt.
        retrying = Retrying(retry=retry_if_result(_is_repeated), wait=_wait)
        retrying.begin()
        state = RetryCallState(retrying, None, (), {})
        state.set_result(_wait_after(outcome))
        while isinstance(wait := retrying.iter(state), DoSleep):
            state.prepare_for_next_attempt()
            await self._shared.clock.sleep(wait)
            outcome = await self._next_attempt()
            state.set_result(_wait_after(outcome))
        return outcome

    async def _next_attempt(self) -> T | Failed:
        runtimes = self._shared.runtimes
        number = 1 if self._attempt is None else self._attempt.number + 1
        attempt = self._attempt = Attempt(number, self._shared.clock, self._watchers)
        cause: RelayDanceError
        try:
            while True:
                runtime = runtimes.find() or await runtimes.current()
                admission, ticket = self._turn(runtime)
                lease = admission.enter_now(ticket)
                if lease is None:
                    if isinstance(self._request.body, LargeJson):
                        self._request.body.rest()
                    self._queued_since = self._shared.clock.monotonic()
                    lease = await admission.enter(ticket)
                if runtime.is_closed:
                    lease.ended(Ended.OTHER)  # the client was closed while it waited: it goes over new connections
                elif not lease.is_probe or await self._gateway_is_back(lease, runtime):
                    break
            response = await self._send(attempt, lease, runtime)
        except RelayDanceError as error:
            cause = error.with_traceback(None)  # which leads to this frame, and so to itself
        else:
            holding = Holding(lease, response, runtime, runtimes)
            return await self._read(attempt, response, holding)
        return await self._failed(cause, attempt, build_meta(self._request, attempt, None, self._shared.redactor))

    async def _gateway_is_back(self, lease: Lease, runtime: Runtime) -> bool:
        """Whether a probe says so. What costs nothing is its own probe; what is paid for sends a GET before."""
        if not self._request.safety.billed:
            return True
        try:
            failure = await self._probe(runtime)
        except BaseException:
            lease.ended(Ended.OTHER)
            raise
        if failure is None:
            lease.probed()
            return True
        lease.ended(failure)
        return False

    async def _probe(self, runtime: Runtime) -> Failure | None:
        try:
            response = await runtime.transports[Network.ANY].send(self._build_probe())
        except RelayDanceError as error:
            return _broken(error)
        await response.aclose()
        return Failure(f"HTTP {response.status_code}") if response.status_code >= 500 else None

    def _build_probe(self) -> WireRequest:
        endpoint, options = self._shared.endpoint, self._options
        headers = {**options.headers, "authorization": f"Bearer {endpoint.api_key.reveal()}"}
        progress = Progress()
        return WireRequest(
            "GET", endpoint.url(_PROBED), headers, b"", options.timeout, peer=peer(_PROBED), progress=progress
        )

    def _turn(self, runtime: Runtime) -> tuple[Admission, Ticket]:
        """Who lets the request in, and what it is told."""
        request, deadline = self._request, self._options.deadline
        target = request.target
        until = None if deadline is None else self._began + deadline
        if isinstance(target, ApiTarget):
            ticket = Ticket(self._kind(), target.route, request.model, deadline=until, began_at=self._began)
            return runtime.api, ticket
        return runtime.foreign, Ticket(self._kind(), "", request.model, deadline=until, began_at=self._began)

    def _kind(self) -> Kind:
        if self._receive.holds:
            return _STREAM
        return _BILLED if self._request.safety.billed else _POLL

    async def _send(self, attempt: Attempt, lease: Lease, runtime: Runtime) -> TransportResponse:
        try:
            target = self._request.target
            network = _ANY if isinstance(target, ApiTarget) else target.network
            return await runtime.transports[network].send(self._build_wire(attempt, lease))
        except RelayDanceError as error:
            no_connection = _had_no_connection(error, attempt)
            lease.ended(Ended.UNREACHED if no_connection else _lesson_of(error, self._request.safety)[0])
            raise
        except BaseException:
            lease.ended(Ended.OTHER)
            raise

    def _build_wire(self, attempt: Attempt, lease: Lease) -> WireRequest:
        request, options = self._request, self._options
        own = request.headers() if callable(request.headers) else request.headers
        target = request.target
        if isinstance(target, ApiTarget):
            headers = {**options.headers, **own}
            attempt.admitted(lease.queued_for, headers)
            headers["authorization"] = f"Bearer {self._shared.endpoint.api_key.reveal()}"
            url = self._shared.endpoint.url(target)
        else:
            headers = {"user-agent": options.headers["user-agent"], **own}
            attempt.admitted(lease.queued_for, headers)
            url = target.url
        body = request.body.take() if isinstance(request.body, LargeJson) else request.body
        return WireRequest(request.method, url, headers, body, options.timeout, peer=peer(target), progress=attempt)

    async def _read(self, attempt: Attempt, response: TransportResponse, holding: Holding) -> T | Failed:
        if isinstance(self._request.target, ApiTarget):
            self._shared.signing.look_at(response.headers)
        answer = Answer(
            self._request,
            attempt,
            self._history,
            response,
            holding=holding,
            limit=self._options.max_response_bytes,
            watchers=self._watchers,
            redactor=self._shared.redactor,
            deadline=self._deadline,
        )
        attempt.received(lambda: answer.meta)
        cause: RelayDanceError
        lesson = _NOTHING_LEARNT
        try:
            if not 200 <= answer.status < 300 and answer.status not in self._receive.takes:
                raise await self._status_error(answer)
            result = await self._receive(answer)
            lesson = _ACCEPTED
            attempt.ended()
            return result
        except RelayDanceError as error:
            cause = error.with_traceback(None)  # as above
            lesson = _lesson_of(error, self._request.safety)
        finally:
            await answer.aclose(*lesson)
        return await self._failed(cause, attempt, answer.meta)

    async def _status_error(self, answer: Answer) -> RelayDanceError:
        body = await answer.read_start(min(answer.limit, _ERROR_BODY_LIMIT))
        retry_after = parse_retry_after(answer.meta.headers, self._shared.clock.now())
        signs = self._shared.signing.signs
        return decode_status_error(answer.meta, body, retry_after=retry_after, origin_signs=signs)

    async def _failed(self, cause: RelayDanceError, attempt: Attempt, meta: ResponseMeta) -> Failed:
        attempt.ended()
        cause = settled(cause, meta, self._shared.redactor)
        request, options, clock = self._request, self._options, self._shared.clock
        now = clock.monotonic()
        self._unsent = self._unsent.after(now, is_sent=not _had_no_connection(cause, attempt))
        decision = decide(
            cause,
            attempt=attempt.number,
            now=now,
            began_at=self._began,
            deadline=options.deadline,
            safety=request.safety,
            repeatable=request.repeatable,
            policy=options.retry,
            jitter=clock.random(),
            unsent=self._unsent,
            is_admitted=attempt.began_at is not None,
        )
        record = attempt.record(cause, meta.status_code)
        self._history = with_attempt(self._history, record, attempt.sent_at, cause, request.safety, decision)
        error = build_failure(cause, meta=meta, request=request, history=self._history, decision=decision)
        if log.isEnabledFor(logging.DEBUG):
            follows = f"again in {decision.after:.2f} s" if isinstance(decision, Retry) else decision.why
            where = f"{request.method} {shown(request.target)}"
            log.debug(
                "%s: attempt %d: %s: %s", one_line(where), attempt.number, type(cause).__name__, one_line(follows)
            )
        if self._watchers is not None and record is not None:
            await self._watchers.failed(self._history.records[-1], error, decision, now - self._began)
        return Failed(error, decision)

    def _out_of_time(self, deadline: float) -> RelayDanceError:
        attempt = self._attempt or Attempt(1, self._shared.clock, None)
        queued = attempt.phase is Phase.QUEUED
        under_way = not queued and attempt.phase is not Phase.ENDED
        cause = APITimeoutError(
            f"no result within the deadline of {deadline:g} s{self._says_queued() if queued else ''}",
            maybe_accepted=under_way and attempt.reached.maybe_accepted,
            retryable=True,
        )
        record = attempt.record(cause, None) if under_way else None
        history = with_attempt(self._history, record, attempt.sent_at, cause, self._request.safety, _TOO_LATE)
        meta = build_meta(self._request, attempt, None, self._shared.redactor)
        return build_failure(cause, meta=meta, request=self._request, history=history, decision=_TOO_LATE)

    def _says_queued(self) -> str:
        since = self._queued_since
        waited = 0.0 if since is None else self._shared.clock.monotonic() - since
        return f"; the call had been waiting for its turn for {waited:.2f} s"


_ON_ITS_WAY = (
    "the request was on its way: it may have been accepted and billed; look at the console before you send it again"
)
_TOO_LATE = GiveUp("its time is over")
_PROBED = ApiTarget("/models", "/models")
"""What costs nothing to ask."""
# Looking up a member of an enum takes as long as a call of a function.
_BILLED, _POLL, _STREAM = Kind
_ANY = Network.ANY
_ACCEPTED: tuple[How, float | None] = (Ended.ACCEPTED, None)
_NOTHING_LEARNT: tuple[How, float | None] = (Ended.OTHER, None)


def _log_end(error: RelayDanceError) -> None:
    log.info(
        "%s: failed: %s, status %s, code %s, request id %s, attempts %d",
        one_line(f"{error.method} {error.path}"),
        type(error).__name__,
        error.status_code,
        one_line(str(error.code)),
        one_line(str(error.request_id)),
        len(error.attempts),
    )


def _lesson_of(error: RelayDanceError, safety: RetrySafety) -> tuple[How, float | None]:
    """What a limiter learns from an error."""
    if isinstance(error, RateLimitError):
        return Ended.REFUSED, error.retry_after
    if isinstance(error, ServerError) and error.code is not None and error.code.endswith("_overloaded"):
        return Ended.OVERLOADED, None
    # What costs little is repeated all the same, so it is no reason to hold others back.
    in_doubt = safety is not RetrySafety.BILLED_SMALL and is_ambiguous(error, safety)
    if isinstance(error, APIConnectionError):
        return _broken(error, in_doubt=in_doubt), None
    if isinstance(error, APIStatusError) and (error.status_code or 0) >= 500 and (in_doubt or error.code is None):
        return Failure(f"HTTP {error.status_code}", in_doubt), None
    return Ended.ANSWERED, None  # also an error with a code: it may be of one model alone


def _broken(error: RelayDanceError, *, in_doubt: bool = False) -> Failure:
    # Not in the words of the error, which are somebody else's.
    late = isinstance(error, APITimeoutError)
    return Failure("it does not answer in time" if late else "the connection breaks", in_doubt)


def _had_no_connection(cause: RelayDanceError, attempt: Attempt) -> bool:
    """Whether it was its turn and nothing was sent."""
    unsent = attempt.began_at is not None and attempt.reached is Reached.NOT_SENT
    return unsent and isinstance(cause, APIConnectionError)


def _wait_after(outcome: object) -> float | None:
    """Seconds until it is repeated, or None: all that tenacity is told. Its objects know each other, and would leave
    whatever they hold to the garbage collector."""
    return outcome.decision.after if isinstance(outcome, Failed) and isinstance(outcome.decision, Retry) else None


def _is_repeated(wait: float | None) -> bool:
    return wait is not None


def _wait(state: RetryCallState) -> float:
    return state.outcome.result() if state.outcome is not None else 0.0
