"""An answer: what a receiver reads, and what a stream goes on reading after its call has returned."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import aclosing, suppress
from typing import Final

from .._hooks import tell_end
from .._limits import Ended
from .._sansio.redact import Redactor
from .._sansio.request import PreparedRequest
from .._sansio.retry import GiveUp
from .._transports import TransportResponse
from ..errors import RelayDanceError
from ..models.meta import ResponseMeta
from .attempt import Attempt
from .deadline import Deadline
from .facts import Facts
from .failure import build_failure, settled, with_attempt
from .history import History
from .lease import Holding
from .watching import Watchers

_BEGUN: Final = GiveUp("its answer had begun")


class Answer:
    """An answer on its way to a receiver.

    Attributes:
        status: of HTTP.
        headers: looked up by names in lower case.
        limit: bytes that may be read into memory.
    """

    __slots__ = (
        "_attempt",
        "_deadline",
        "_history",
        "_holding",
        "_meta",
        "_redactor",
        "_request",
        "_response",
        "_tape",
        "_watchers",
        "limit",
        "status",
    )

    def __init__(
        self,
        request: PreparedRequest,
        attempt: Attempt,
        history: History,
        response: TransportResponse,
        *,
        holding: Holding,
        limit: int,
        watchers: Watchers | None,
        redactor: Redactor,
        deadline: Deadline | None = None,
    ) -> None:
        self.status: int = response.status_code
        self.limit: int = limit
        self._request = request
        self._attempt = attempt
        self._history = history
        self._response = response
        self._holding: Holding | None = holding
        self._watchers = watchers
        self._redactor = redactor
        self._deadline = deadline
        self._meta: ResponseMeta | None = None
        self._tape: Tape | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """Looked up by names in lower case."""
        return self._response.headers

    @property
    def is_billed(self) -> bool:
        """Whether it may be paid for."""
        return self._request.safety.billed

    @property
    def meta(self) -> ResponseMeta:
        """The circumstances, for an error; built when first asked for."""
        if self._meta is None:
            self._meta = self.facts()()
        return self._meta

    def facts(self) -> Facts:
        """The circumstances as they are now, for a result."""
        return Facts(self._request, self._attempt, self._response, self._redactor, self._history.records)

    def read(self, limit: int | None = None) -> Awaitable[bytes]:
        """The whole body.

        Raises:
            ResponseTooLargeError: it is larger than the limit, which is the client's unless another is given.
            APIConnectionError: it broke off.
        """
        limit = self.limit if limit is None else limit
        return self._response.read(limit) if self._tape is None else self._tape.read(self._response, limit)

    async def read_start(self, limit: int) -> bytes:
        """The body as far as it comes, and no more than so many bytes."""
        start = bytearray()
        with suppress(RelayDanceError):  # it broke off
            async with aclosing(self.pieces()) as pieces:
                async for piece in pieces:
                    start += piece
                    if len(start) >= limit:
                        break
        return bytes(start[:limit])

    def pieces(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes. Raises like `read`."""
        return self._response.chunks() if self._tape is None else self._tape.pieces(self._response)

    def pieces_in_time(self) -> AsyncGenerator[bytes, None]:
        """The same after its call has returned, when nothing else looks at the deadline.

        Raises:
            APITimeoutError: that has passed.
        """
        return self.pieces() if self._deadline is None else self._deadline.bound(self.pieces())

    def keep(self) -> OpenAnswer:
        """Take over what it holds, to go on reading after the call has returned."""
        holding = self.release()
        if holding is None:
            raise RuntimeError("an answer is kept once")
        if self._watchers is None:
            holding.register(None)
        else:
            self._watchers.keep_open()
            holding.register(self._watchers.forgotten)
        return OpenAnswer(self, holding)

    def record(self) -> Tape:
        """Keep what is read from now on."""
        self._tape = Tape()
        return self._tape

    def failure(self, cause: RelayDanceError) -> RelayDanceError:
        """The finished error of a call whose answer broke off after it had returned."""
        cause = settled(cause, self.meta, self._redactor)
        record = self._attempt.record(cause, self.status)
        history = with_attempt(self._history, record, self._attempt.sent_at, cause, self._request.safety, _BEGUN)
        return build_failure(cause, meta=self.meta, request=self._request, history=history, decision=_BEGUN)

    @property
    def watchers(self) -> Watchers | None:
        """Those who watch its call."""
        return self._watchers

    def progressed(self, done: int, total: int | None) -> None:
        """Tell those who watch that so many bytes have come."""
        if self._watchers is not None:
            self._watchers.progressed(done, total)

    def ended(self, error: BaseException | None) -> None:
        """Tell those who watch, when it was kept."""
        if self._watchers is not None:
            self._watchers.ended(None, error, True)

    def take_back(self, holding: Holding) -> None:
        """It is to be kept once more, by somebody else."""
        self._holding = holding

    def release(self) -> Holding | None:
        """What it holds, to be given back; None when that was taken over."""
        holding, self._holding = self._holding, None
        return holding


class Tape:
    """What has been read of an answer, for whoever wants the bytes beside what was made of them.

    Attributes:
        content: so far.
        is_whole: whether it is all of it: then it is read from here.
    """

    __slots__ = ("content", "is_whole")

    def __init__(self) -> None:
        self.content: bytearray = bytearray()
        self.is_whole: bool = False

    async def read(self, response: TransportResponse, limit: int) -> bytes:
        """See `Answer.read`."""
        if not self.is_whole:
            self.content += await response.read(limit)
        return bytes(self.content)

    async def pieces(self, response: TransportResponse) -> AsyncGenerator[bytes, None]:
        """See `Answer.pieces`."""
        if self.is_whole:
            yield bytes(self.content)
            return
        async with aclosing(response.chunks()) as pieces:
            async for piece in pieces:
                self.content += piece
                yield piece


class OpenAnswer:
    """An answer that outlives its call. It holds its connection and its permit until `aclose`, or until it is garbage.

    Attributes:
        status, limit, meta: as of `Answer`.
    """

    __slots__ = ("_answer", "_holding")

    def __init__(self, answer: Answer, holding: Holding) -> None:
        self._answer = answer
        self._holding = holding

    @property
    def status(self) -> int:
        """Of HTTP."""
        return self._answer.status

    @property
    def meta(self) -> ResponseMeta:
        """The circumstances."""
        return self._answer.meta

    def facts(self) -> Facts:
        """The same as they are now, for a result."""
        return self._answer.facts()

    @property
    def limit(self) -> int:
        """Bytes that may be read into memory."""
        return self._answer.limit

    @property
    def watchers(self) -> Watchers | None:
        """Those who watch its call."""
        return self._answer.watchers

    def progressed(self, done: int, total: int | None) -> None:
        """Tell those who watch that so many bytes have come."""
        self._answer.progressed(done, total)

    def pieces(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes.

        Raises:
            APIConnectionError: it broke off.
            APITimeoutError: the deadline of the call has passed.
        """
        return self._answer.pieces_in_time()

    def replayed(self, body: bytes) -> Answer:
        """The answer for a receiver, which finds its whole body, read before."""
        tape = self._answer.record()
        tape.content += body
        tape.is_whole = True
        return self._answer

    def reopened(self) -> Answer:
        """The answer for a receiver that takes over what it holds."""
        self._answer.take_back(self._holding)
        return self._answer

    def failure(self, cause: RelayDanceError) -> RelayDanceError:
        """The finished error of what went wrong while it was read. The log is told, unless it has been given back."""
        failure = self._answer.failure(cause)
        if self._holding.is_held:
            tell_end(failure)
        return failure

    async def aclose(self, error: BaseException | None = None) -> None:
        """Give the connection and the permit back. Safe to call twice.

        Args:
            error: what ended it, for those who watch.
        """
        answer, holding = self._answer, self._holding
        if holding.is_held:
            answer.ended(error)
        await holding.aclose(Ended.ACCEPTED)
