"""The one loop over the attempts of a call.

Each attempt gives an outcome, which is the result or a `Failed` with the decision what to do next. Once one is to be
repeated, tenacity drives the loop. One pure function, `decide`, decides, and one deadline spans queueing, attempts and
waits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import urlsplit

from .._config import Clock, Endpoint, Options
from .._hooks import tell_end
from .._limits import Admission, Book, Ended, How, Kind, Lease, Order, Ticket
from .._memory import Memory
from .._runtime import Runtime, Runtimes
from .._sansio.envelope import decode_foreign_error, decode_status_error
from .._sansio.outage import Failure
from .._sansio.redact import Redactor, without_values
from .._sansio.request import LargeJson, PreparedRequest
from .._sansio.retry import ALL_SENT, Decision, GiveUp, Retry, Unsent, decide
from .._sansio.retry_after import parse_retry_after
from .._sansio.target import ApiTarget, ForeignTarget, Network, network_of
from .._transports import TransportResponse
from ..errors import (
    APITimeoutError,
    RelayDanceError,
    mark_accepted,
)
from ..journal import Journal
from ..models.meta import ResponseMeta
from .answer import Answer
from .attempt import Attempt, Phase
from .deadline import Deadline
from .facts import Facts
from .failure import build_failure, settled, with_attempt
from .history import NO_HISTORY, History
from .lease import Holding
from .lesson import broken, had_no_connection, lesson_of, lesson_of_unanswered
from .receive import Receiver
from .signing import Signing
from .watching import Watchers, watch
from .wire import build_probe, build_wire

if TYPE_CHECKING:
    from .repeats import Repeats

T = TypeVar("T")

_ERROR_BODY_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt failed, and this follows."""

    error: RelayDanceError
    decision: Decision


@dataclass(frozen=True, slots=True)
class Shared:
    """What all calls with one API key of a client, or of a view of it, share.

    Attributes:
        memory: what is remembered, for all keys.
    """

    endpoint: Endpoint
    runtimes: Runtimes
    clock: Clock
    signing: Signing
    redactor: Redactor
    book: Book
    journal: Journal | None = None
    memory: Memory = field(default_factory=Memory)

    def with_key(self, endpoint: Endpoint) -> Shared:
        """The same for another key: its limits are its own, and found again while anybody holds them."""
        redactor, book = Redactor(endpoint.api_key.reveal()), self.book.sibling(endpoint.mark)
        return Shared(endpoint, self.runtimes, self.clock, self.signing, redactor, book, self.journal, self.memory)


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
        # One coroutine for all of it: each more is an object that every call under way holds.
        self._began = self._shared.clock.monotonic()
        seconds = self._options.deadline
        deadline = None if seconds is None else self._begin_deadline(seconds)
        repeats: Repeats | None = None
        try:
            while True:
                attempt = self._next_attempt()
                try:
                    runtime = self._shared.runtimes.find() or await self._shared.runtimes.current()
                    admission, ticket = self._turn(runtime)
                    lease = admission.enter_now(ticket) or await self._queue(admission, ticket)
                    del ticket  # each object that a call under way holds costs the garbage collector
                    if (lease.is_probe or runtime.is_closed) and not await self._may_go(lease, runtime):
                        continue
                    try:
                        response = await self._send(attempt, lease, runtime)
                    except BaseException as error:
                        lease.ended(lesson_of_unanswered(error, attempt, self._request.safety))
                        raise
                except RelayDanceError as error:
                    ending = self._unanswered(error.with_traceback(None), attempt)  # which leads to this frame
                else:
                    ending = self._read(attempt, response, lease, runtime)
                    del response  # it may know what was sent, and the call may wait for long before the next
                outcome = await ending
                wait = _wait_after(outcome)
                if repeats is None:
                    if wait is None:
                        break
                    from .repeats import Repeats  # with tenacity, which most programs never need

                    repeats = Repeats()
                if (wait := repeats.after(wait)) is None:
                    break
                await self._shared.clock.sleep(wait)
        except BaseException as error:
            self._mark(error)
            if deadline is None or not deadline.__exit__(type(error), error, None):
                raise
            outcome = Failed(self._out_of_time(deadline.seconds), _TOO_LATE)
        else:
            if deadline is not None:
                deadline.__exit__(None, None, None)
        if not isinstance(outcome, Failed):
            return outcome
        tell_end(outcome.error)
        try:
            raise outcome.error from None
        finally:
            del outcome  # an error whose traceback leads to itself is left to the garbage collector

    async def run_watched(self) -> T:
        """The same, with observers."""
        # No local variable is the request: a traceback that shows them would show its query.
        observers, endpoint = self._options.watching, self._shared.endpoint
        watchers = watch(observers, self._request, endpoint, streams=self._receive.holds)
        try:
            result = await self.run_with(watchers)
        except BaseException as error:
            if watchers is not None:
                watchers.ended(None, error, self._may_be_accepted())
            raise
        if watchers is not None:
            watchers.returned(result)
        return result

    def run_with(self, watchers: Watchers | None) -> Coroutine[Any, Any, T]:
        """The same; whoever gives the observers tells them of the end."""
        self._watchers = watchers
        return self.run()

    def _begin_deadline(self, seconds: float) -> Deadline:
        """No `with` around a call: that takes a coroutine more, which each call under way would hold."""
        runtime = self._shared.runtimes.find()
        deadline = self._deadline = Deadline(seconds, None if runtime is None else runtime.timers)
        return deadline.__enter__()

    def _mark(self, error: BaseException) -> None:
        """Let a cancellation tell whether it may have left something that is paid for."""
        if self._request.safety.billed and not isinstance(error, RelayDanceError):
            mark_accepted(error, self._may_be_accepted(), note=_ON_ITS_WAY)

    def _may_be_accepted(self) -> bool:
        attempt = self._attempt
        under_way = attempt is not None and attempt.phase is not Phase.ENDED and attempt.reached.maybe_accepted
        return self._history.maybe_accepted or under_way

    def _next_attempt(self) -> Attempt:
        """The one that waits for its turn once more, or a new one."""
        attempt = self._attempt
        if attempt is None or attempt.phase is not _QUEUED:
            number = 1 if attempt is None else attempt.number + 1
            attempt = self._attempt = Attempt(number, self._shared.clock, self._watchers)
        return attempt

    def _queue(self, admission: Admission, ticket: Ticket) -> Awaitable[Lease]:
        if isinstance(self._request.body, LargeJson):
            self._request.body.rest()
        self._queued_since = self._shared.clock.monotonic()
        return admission.enter(ticket)

    async def _may_go(self, lease: Lease, runtime: Runtime) -> bool:
        """Whether it may, with that lease; if not, that is given back."""
        if runtime.is_closed:
            lease.ended(Ended.OTHER)  # the client was closed while it waited: it goes over new connections
            return False
        return await self._gateway_is_back(lease, runtime)

    def _send(self, attempt: Attempt, lease: Lease, runtime: Runtime) -> Awaitable[TransportResponse]:
        if self._watchers is not None and lease.why is not None:
            self._watchers.held(attempt.number, lease.why)
        wire = build_wire(self._request, attempt, lease.queued_for, self._shared.endpoint, self._options)
        target = self._request.target
        network = _ANY if isinstance(target, ApiTarget) else network_of(target)
        return runtime.transports[network].send(wire)

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
            response = await runtime.transports[Network.ANY].send(build_probe(self._shared.endpoint, self._options))
        except RelayDanceError as error:
            return broken(error)
        await response.aclose()
        return Failure(f"HTTP {response.status_code}") if response.status_code >= 500 else None

    def _turn(self, runtime: Runtime) -> tuple[Admission, Ticket]:
        """Who lets the request in, and what it is told."""
        target, deadline = self._request.target, self._options.deadline
        until = None if deadline is None else self._began + deadline
        options, kind = self._options, self._kind()
        order = options.order
        if order is None:
            order = _BY_POLL if kind is _POLL else _BY_ASKED
        admission, route = (runtime.api, target.route) if isinstance(target, ApiTarget) else (runtime.foreign, "")
        return admission, Ticket(
            *(kind, route, self._request.model, options.priority, until, self._began, order, options.view),
            self._shared.book,
        )

    def _kind(self) -> Kind:
        if self._receive.holds:
            return _STREAM
        return _BILLED if self._request.safety.billed else _POLL

    async def _read(self, attempt: Attempt, response: TransportResponse, lease: Lease, runtime: Runtime) -> T | Failed:
        holding = Holding(lease, response, runtime, self._shared.runtimes)
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
        attempt.received(answer.meta if self._watchers is not None and self._watchers.wants("answered") else None)
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
            lesson = lesson_of(error, self._request.safety)
        finally:
            if (held := answer.release()) is not None and not held.ended(*lesson):
                await held.aclose(*lesson)
        return await self._failed(cause, attempt, answer.meta)

    async def _status_error(self, answer: Answer) -> RelayDanceError:
        body = await answer.read_start(min(answer.limit, _ERROR_BODY_LIMIT))
        retry_after = parse_retry_after(answer.meta.headers, self._shared.clock.now())
        if isinstance(target := self._request.target, ForeignTarget):
            body = without_values(body, urlsplit(target.url).query)
            return decode_foreign_error(answer.meta, body, retry_after=retry_after)
        signs = self._shared.signing.signs
        return decode_status_error(answer.meta, body, retry_after=retry_after, origin_signs=signs)

    def _unanswered(self, cause: RelayDanceError, attempt: Attempt) -> Coroutine[Any, Any, T | Failed]:
        return self._failed(cause, attempt, Facts(self._request, attempt, None, self._shared.redactor)())

    async def _failed(self, cause: RelayDanceError, attempt: Attempt, meta: ResponseMeta) -> Failed:
        attempt.ended()
        cause = settled(cause, meta, self._shared.redactor)
        request, options, clock = self._request, self._options, self._shared.clock
        now = clock.monotonic()
        self._unsent = self._unsent.after(now, is_sent=not had_no_connection(cause, attempt))
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
            is_admitted=attempt.admitted_at is not None,
        )
        record = attempt.record(cause, meta.status_code)
        self._history = with_attempt(self._history, record, attempt.sent_at, cause, request.safety, decision)
        error = build_failure(cause, meta=meta, request=request, history=self._history, decision=decision)
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
        meta = Facts(self._request, attempt, None, self._shared.redactor)()
        return build_failure(cause, meta=meta, request=self._request, history=history, decision=_TOO_LATE)

    def _says_queued(self) -> str:
        since = self._queued_since
        waited = 0.0 if since is None else self._shared.clock.monotonic() - since
        return f"; the call had been waiting for its turn for {waited:.2f} s"


_ON_ITS_WAY = (
    "the request was on its way: it may have been accepted and billed; look at the console before you send it again"
)
_TOO_LATE = GiveUp("its time is over")
# Looking up a member of an enum takes as long as a call of a function.
_BILLED, _POLL, _STREAM = Kind
_QUEUED = Phase.QUEUED
_ANY = Network.ANY
_BY_ASKED, _BY_POLL = Order.ASKED, Order.POLL
_ACCEPTED: tuple[How, float | None] = (Ended.ACCEPTED, None)
_NOTHING_LEARNT: tuple[How, float | None] = (Ended.OTHER, None)


def _wait_after(outcome: object) -> float | None:
    """Seconds until it is repeated, or None."""
    return outcome.decision.after if isinstance(outcome, Failed) and isinstance(outcome.decision, Retry) else None
