"""A call with an idempotency key: sent once, whatever happens to the call, the process or the machine.

find -> accepted: replayed    in doubt: an error    being sent by another: waited for
     -> else: a call, which is noted as `sending` before its first byte leaves, and as what became of it
"""

from __future__ import annotations

import logging
import secrets
from typing import Any, Generic, NoReturn, TypeVar

import anyio
from pydantic import BaseModel, ValidationError

from .._config import Options
from .._errand import AsyncioErrand, TrioErrand, start_errand
from .._runtime import FINISH_SECONDS, Runtime
from .._sansio.fingerprint import build_fingerprint, callback_in, canonical_json
from .._sansio.observer import CallInfo, CallObserver, NoObserver
from .._sansio.redact import one_line
from .._sansio.request import BodyStream, LargeJson, PreparedRequest
from .._sansio.retry import Decision, Retry
from .._sansio.target import ApiTarget, shown
from .._threads import in_thread
from ..errors import (
    APITimeoutError,
    IdempotencyKeyReusedError,
    InvalidInputError,
    JournalError,
    RelayDanceError,
    SubmissionInDoubtError,
    mark_accepted,
    maybe_accepted,
)
from ..journal import Ending, Journal, Sending
from ..models.journal import EntryState, JournalEntry
from ..models.meta import AttemptRecord, ResponseMeta
from .call import Call, Shared
from .receive import Receiver
from .watching import Watchers, watch

log = logging.getLogger("relaydance_async")

T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two looks at what another process sends."""
_LARGE = 256 * 1024
"""Bytes of a body that is hashed in a thread."""
_LONGEST_KEY = 500


_FINISHED = "the request was on its way, and is finished in the background: call again with the key {!r} for its answer"


class _TakenError(Exception):
    """Somebody else was faster with the same key. None of our errors, so that nothing repeats it."""


class KeyedCall(NoObserver, Generic[T]):
    """One such call. It is an observer of the call that it makes: that is where it hears of the moment of sending.

    Attributes:
        is_on_the_wire: whether the request may be on its way, or its answer not noted yet.
    """

    def __init__(
        self,
        shared: Shared,
        journal: Journal,
        request: PreparedRequest,
        receive: Receiver[T],
        options: Options,
        key: str,
    ) -> None:
        check_key(key)
        if receive.kept is None:
            raise InvalidInputError(f"idempotency_key: no journal can keep {receive.returns}")
        self._kept = receive.kept
        self.is_on_the_wire: bool = False
        self._shared = shared
        self._journal = journal
        self._request = request
        self._receive = receive
        self._options = options
        self._key = key
        self._origin = shared.endpoint.origin
        self._call = secrets.token_hex(8)
        self._fingerprint = ""
        self._content = ""
        self._callback: str | None = None
        self._request_id: str | None = None
        self._is_noted = False
        """Whether the journal has it as `sending`."""
        self._is_abandoned = False
        self._watchers: Watchers | None = None
        self._stream: list[T] = []
        """What is still being read when the call has returned."""

    async def run(self) -> T:
        """Make the call, or give the answer that there is.

        Cancelling it while the request is on the wire leaves it to finish in the background.
        """
        runtimes = self._shared.runtimes
        runtime = runtimes.find() or await runtimes.current()
        errand = start_errand(lambda: self._run(runtime))
        try:
            return await errand.result()
        except anyio.get_cancelled_exc_class() as cancelled:
            mark_accepted(cancelled, self.is_on_the_wire, note=_FINISHED.format(self._key))
            if self.is_on_the_wire:
                self._leave_behind(errand, runtime)
            else:
                await errand.cancel()
            raise

    def _may_be_accepted(self, error: BaseException) -> bool:
        known = maybe_accepted(error)
        return self.is_on_the_wire if known is None else known

    def _leave_behind(self, errand: AsyncioErrand[Any] | TrioErrand[Any], runtime: Runtime) -> None:
        self._is_abandoned = True
        if self._stream:  # it had begun, and nobody reads it
            (stream,) = self._stream
            errand = start_errand(lambda: self._kept.finish(stream))
        if (opened := self._request.opened) is not None:
            files = opened.pop_all()
            errand.on_end(files.close)
            errand.on_end(opened.close)  # what was opened since
        if self._options.deadline is None:
            errand.cancel_after(FINISH_SECONDS)
        runtime.errands.add(errand)
        errand.on_end(lambda: runtime.errands.discard(errand))

    async def _run(self, runtime: Runtime) -> T:
        """The call, with observers: of all calls that it takes, or of none when there is an answer."""
        observers = (*self._options.watching, self)
        endpoint, streams = self._shared.endpoint, self._receive.holds
        watchers = self._watchers = watch(observers, self._request, endpoint, streams=streams)
        try:
            result = await self._in_turn(runtime)
        except BaseException as error:
            if watchers is not None:
                watchers.ended(None, error, self._may_be_accepted(error))
            raise
        if watchers is not None:
            watchers.returned(result)
        return result

    async def _in_turn(self, runtime: Runtime) -> T:
        """One after the other, of those of this user with this key in this loop."""
        began = self._shared.clock.monotonic()
        self._content, self._callback = await _content_of(self._request)
        self._fingerprint = build_fingerprint(self._request, self._content)
        mine = self._origin, self._key
        while (other := runtime.flights.get(mine)) is not None:
            with anyio.move_on_after(self._left(began)):
                await other.wait()
                continue
            self._out_of_time()
        done = runtime.flights[mine] = anyio.Event()
        try:
            return await self._find_or_send(began)
        finally:
            del runtime.flights[mine]
            done.set()

    async def _find_or_send(self, began: float) -> T:
        pause = _FIRST_PAUSE
        while True:
            entry = await self._journal.find(self._origin, self._key)
            if entry is None or entry.may_be_sent:
                try:
                    return await self._send(began)
                except _TakenError:
                    continue
            if entry.fingerprint != self._fingerprint:
                raise IdempotencyKeyReusedError(_reused(entry), entry=entry)
            if entry.state == "accepted":
                return self._replay(entry)
            if entry.state == "in doubt":
                raise SubmissionInDoubtError.of(entry)
            left = self._left(began)
            if left is not None and left <= 0:
                self._out_of_time()
            await self._shared.clock.sleep(pause if left is None else min(pause, left))
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _left(self, began: float) -> float | None:
        deadline = self._options.deadline
        return None if deadline is None else began + deadline - self._shared.clock.monotonic()

    def _deadline(self, began: float) -> float | None:
        deadline, left = self._options.deadline, self._left(began)
        if deadline is None or left is None or left > deadline * 0.99:
            return deadline  # as the caller knows it
        return max(left, 0.001)

    def _out_of_time(self) -> NoReturn:
        raise APITimeoutError(
            f"another call with the key {self._key!r} was still being sent at the deadline of"
            f" {self._options.deadline:g} s; call again, with the same key, for its answer",
            maybe_accepted=True,
        )

    def _replay(self, entry: JournalEntry) -> T:
        try:
            return self._kept.recall(entry.answer or "", self._meta_of(entry))
        except ValidationError:
            raise JournalError(
                f"what the journal has as the answer of key {entry.key!r} can't be read as one", kind="corrupt"
            ) from None

    def _meta_of(self, entry: JournalEntry) -> ResponseMeta:
        return ResponseMeta(
            method=self._request.method,
            path=shown(self._request.target),
            request_id=entry.request_id,
            sent_at=entry.sent_at,
            replayed=True,
        )

    # The call, and what is noted of it.

    async def _send(self, began: float) -> T:
        made = self._request.made
        request = self._request if made is None else await made()
        options = self._options.changed(deadline=self._deadline(began))
        try:
            result = await Call(self._shared, request, self._receive, options).run_with(self._watchers)
        except _TakenError:
            raise
        except BaseException as error:
            await self._note_failure(error)
            raise
        if await self._kept.keep(result, self._accepted):
            self._stream.append(result)
            if self._is_abandoned:
                await self._kept.finish(result)
        return result

    def call_began(self, call: CallInfo) -> CallObserver:
        """See `Observer`, here and below."""
        return self

    async def sending(self, attempt: int) -> None:
        request, target = self._request, self._request.target
        self._request_id = None  # that of an attempt before is no longer the one that counts
        sending = Sending(
            self._origin,
            self._key,
            self._call,
            self._fingerprint,
            target.route if isinstance(target, ApiTarget) else "",
            request.model,
            self._callback,
            self._shared.clock.now().timestamp(),
            self._content if self._journal.keep_requests else None,
            self._shared.endpoint.mark,
        )
        try:
            entry = await self._journal.begin(sending)
        except RelayDanceError:
            raise
        except BaseException:
            self._journal.withdraw_soon(self._origin, self._key, self._call)
            raise
        if entry is not None:
            raise _TakenError
        self.is_on_the_wire = self._is_noted = True

    def answered(self, attempt: int, meta: ResponseMeta) -> None:
        self._request_id = meta.request_id

    async def failed(self, record: AttemptRecord, error: RelayDanceError, decision: Decision, elapsed: float) -> None:
        if not isinstance(decision, Retry):
            return
        self.is_on_the_wire = False
        # While it waits for the next attempt it is not on the wire, and would be in doubt for nothing after a crash.
        if self._is_noted and not error.maybe_accepted:
            self._is_noted = False
            await self._journal.end(self._ending("refused", reason=_reason(error)))

    def ended(self, result: object, error: BaseException | None, maybe_accepted: bool) -> None:
        if self._stream and self._is_noted:  # it was not read to its end
            self._is_noted = False
            reason = "its stream was closed before its end" if error is None else _reason(error)
            came = self._kept.so_far(self._stream[0])
            answer = None if came is None else came.model_dump_json(exclude_unset=True)
            self._journal.end_soon(self._ending("in doubt", reason=reason, answer=answer))

    async def _note_failure(self, error: BaseException) -> None:
        if not self._is_noted:
            return
        self._is_noted = False
        state: EntryState = "refused" if maybe_accepted(error) is False else "in doubt"
        ending = self._ending(state, reason=_reason(error))
        if not isinstance(error, Exception):
            self._journal.end_soon(ending)
            return
        try:
            await self._journal.end(ending)
        except JournalError as failure:
            log.error("key %r is %s, which can't be noted: %s", self._key, state, failure.message)

    async def _accepted(self, result: BaseModel) -> None:
        """Keep the answer, durably, before the caller has it."""
        self._is_noted = False
        task_id: str | None = getattr(result, "task_id", None)
        ending = self._ending(
            "accepted",
            answer=result.model_dump_json(exclude_unset=True, by_alias=True),  # a caller's model may have aliases
            task_id=task_id,
            task_status=getattr(result, "status", None) if task_id else None,
        )
        try:
            await self._journal.end(ending)
        except JournalError as error:
            raise JournalError(
                f"the request of key {self._key!r} was accepted, which can't be noted: {error.message}",
                kind=error.kind,
                result=result,
                task_id=task_id,
                maybe_accepted=True,
            ) from None

    def _ending(self, state: EntryState, **facts: Any) -> Ending:
        facts.setdefault("request_id", self._request_id)
        return Ending(self._origin, self._key, self._call, state, self._shared.clock.now().timestamp(), **facts)


def check_key(key: object) -> None:
    """Whether it can be an idempotency key.

    Raises:
        InvalidInputError: it can't.
    """
    if not isinstance(key, str) or not key.strip() or len(key) > _LONGEST_KEY or not _is_text(key):
        raise InvalidInputError(
            f"idempotency_key must be a non-empty string of at most {_LONGEST_KEY} characters, not {key!r:.80}"
        )


def _is_text(key: str) -> bool:
    return "\0" not in key and not any("\ud800" <= letter <= "\udfff" for letter in key)


async def _content_of(request: PreparedRequest) -> tuple[str, str | None]:
    """The body, canonical, and what tells its callback URL from others."""
    body = request.body
    if request.canonical is not None:
        return await request.canonical(), None
    if isinstance(body, BodyStream) or body is None:
        raise InvalidInputError("idempotency_key: this request has no body that can be compared")
    encoded = body.peek() if isinstance(body, LargeJson) else body
    if len(encoded) < _LARGE:
        return canonical_json(encoded), callback_in(encoded)
    return await in_thread(lambda: (canonical_json(encoded), callback_in(encoded)))


def _reused(entry: JournalEntry) -> str:
    when = f"{entry.sent_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"the key {entry.key!r} was used for another request, sent at {when}, which is {entry.state}"


def _reason(error: BaseException) -> str:
    text = error.message if isinstance(error, RelayDanceError) else str(error)
    return one_line(f"{type(error).__name__}: {text}" if text else type(error).__name__)[:300]
