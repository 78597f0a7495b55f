"""Every exception of the package.

RelayDanceError
  x ConfigurationError (ValueError)      the client was set up wrongly
  x InvalidInputError (ValueError)       an argument that can't be sent; nothing was sent
  · APIStatusError                       the gateway answered with an error
    x BadRequestError                    400
    x AuthenticationError                401
    · PermissionDeniedError              403
      x InsufficientBalanceError         403, the balance or the key's quota is short
    x NotFoundError                      404, also an unknown model or task
    x RequestTooLargeError               413
    x RateLimitError                     429
    x ContentRefusedError                the prompt or its result was refused
    x ServerError                        5xx
  · APIConnectionError                   no answer came
    x APITimeoutError (TimeoutError)     not in time
  x ResponseDecodeError                  the answer isn't what the API documents
    x ResponseTooLargeError              the answer is larger than the client allows
  · StreamError                          a stream ended in an error
    x IncompleteStreamError              a stream ended too early
  x ParseError                           a chat's answer isn't what was asked for; it is paid for
    x LengthFinishReasonError            it was cut off at the limit of tokens
    x ContentFilterFinishReasonError     a content filter cut it off
  x ToolRunError                         a model still calls tools after the last turn
  · TaskError
    x TaskFailedError                    the video task failed (it is not billed)
    x TaskTimeoutError (TimeoutError)    the video task did not end in time; it goes on
  x DownloadError                        a clip or an image could not be saved whole
  x FanOutStoppedError                   a fan-out that stopped before the last item
  · WebhookError
    x WebhookVerificationError           a delivery without a valid token
    x WebhookPayloadError                a delivery that can't be read
  · IdempotencyError                     an idempotency key stands in the way; nothing was sent
    x IdempotencyKeyReusedError          the key names another request
    x SubmissionInDoubtError             an earlier request of the key may have been accepted
  x JournalError                         the journal can't be read or written
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias

from ._keylike import without_keys
from .models._failure_kinds import FailureKind, failure_kind
from .models.meta import AttemptRecord, ErrorResponse, ResponseMeta

if TYPE_CHECKING:
    from .models.chat import ChatCompletion
    from .models.journal import JournalEntry
    from .models.outcome import Outcome
    from .models.video import VideoTask

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "ConfigurationError",
    "ContentFilterFinishReasonError",
    "ContentRefusedError",
    "DownloadError",
    "FanOutStoppedError",
    "IdempotencyError",
    "IdempotencyKeyReusedError",
    "IncompleteStreamError",
    "InsufficientBalanceError",
    "InvalidInputError",
    "JournalError",
    "LengthFinishReasonError",
    "NotFoundError",
    "ParseError",
    "PermissionDeniedError",
    "RateLimitError",
    "RelayDanceError",
    "RequestTooLargeError",
    "ResponseDecodeError",
    "ResponseTooLargeError",
    "ServerError",
    "StreamError",
    "SubmissionInDoubtError",
    "TaskError",
    "TaskFailedError",
    "TaskTimeoutError",
    "ToolRunError",
    "WebhookError",
    "WebhookPayloadError",
    "WebhookVerificationError",
]

IN_DOUBT = "it may have been accepted, and would then be paid for twice"
"""Why a billed request is not repeated after a failure that leaves open what became of it."""

_SENTENCE_ENDS = (".", "!", "?", "\u3002", "\uff01", "\uff1f")


class RelayDanceError(Exception):
    """The root of all errors of this package. Plain data: it pickles, copies and compares by value.

    Attributes:
        message: what went wrong, in the gateway's words where it sent some.
        type, code, param: of the gateway's error envelope, or None.
        task_id: the video task that the call was about, or None.
        retryable: whether the same call may succeed later and can't be paid for twice. (Whether the client repeated it
            is in `attempts`.)
        maybe_accepted: whether the gateway may have accepted, and billed, the request.
        not_retried_because: why the client did not try again, in words; None when nothing was tried.
        meta: status, headers, request id, attempts and time of the call.
    """

    _hint: ClassVar[str] = ""
    _documented_status: ClassVar[int | None] = None

    history: tuple[Mapping[str, Any], ...] = ()
    """Of a call that asks a chat model several times (tools, `validate_retries`): the messages so far, with the answers
    that were paid for. Pass them as `messages` to go on."""

    def __init__(
        self,
        message: str = "",
        *,
        meta: ResponseMeta | None = None,
        type: str | None = None,
        code: str | None = None,
        param: str | None = None,
        task_id: str | None = None,
        retryable: bool = False,
        maybe_accepted: bool = False,
        not_retried_because: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.meta: ResponseMeta = meta if meta is not None else ResponseMeta()
        self.type = type
        self.code = code
        self.param = param
        self.task_id = task_id
        self.retryable = retryable
        self.maybe_accepted = maybe_accepted
        self.not_retried_because = not_retried_because

    @property
    def status_code(self) -> int | None:
        """The HTTP status of the answer, or None when none came."""
        return self.meta.status_code

    @property
    def request_id(self) -> str | None:
        """The gateway's id of the request, for its support."""
        return self.meta.request_id

    @property
    def method(self) -> str | None:
        """The HTTP method."""
        return self.meta.method

    @property
    def path(self) -> str | None:
        """The path of the request, without host and query. Of another host's: its URL without the query."""
        return self.meta.path

    @property
    def attempts(self) -> tuple[AttemptRecord, ...]:
        """What happened in each attempt. A call that never got its turn has none."""
        return self.meta.attempts

    @property
    def sent_at(self) -> datetime | None:
        """When the first byte of the last attempt was sent (UTC), or None when none was."""
        return self.meta.sent_at

    def support_details(self) -> dict[str, str | int | None]:
        """What RelayDance's support asks for when an error persists (API documentation, "Errors"). Holds no key."""
        at = self.sent_at or (self.attempts[-1].started_at if self.attempts else None)
        return {
            "timestamp": at.isoformat() if at else None,
            "request_id": self.request_id,
            "method": self.method,
            "path": self.path,
            "status": self.status_code,
            "code": self.code,
            "task_id": self.task_id,
            "error": self.message,
        }

    @property
    def hint(self) -> str:
        """What to do about it, in a sentence or two; the end of `str()`. Empty when there is nothing to say."""
        if not self.maybe_accepted:
            return self._hint
        return f"{self._hint}. {self._doubt()}" if self._hint else self._doubt()

    @property
    def documented_status(self) -> int | None:
        """The status that the API documents for such an error, whatever status it came with: 404 for an unknown task
        that came as 400, 422 for a refused prompt that came as 500. None when no answer came."""
        return self._documented_status or self.status_code

    @property
    def user_message(self) -> str | None:
        """The gateway's text, if it is about what your user asked for: a refused prompt, a wrong parameter. None where
        it is about your key, your balance or a server, which is nobody else's affair."""
        return None

    def _doubt(self) -> str:
        if self.task_id:
            return f"The task goes on: resume with `await client.video.wait({self.task_id!r})`"
        doubt = "The request may have been accepted and billed: look at the console before you send it again"
        if self.not_retried_because != IN_DOUBT:
            return doubt
        return f"{doubt}, or allow that with RetryPolicy(retry_ambiguous=True)"

    def __str__(self) -> str:
        status = f"HTTP {self.status_code}: " if self.status_code else ""
        facts = [
            f"code {self.code}" if self.code else "",
            f"param {self.param}" if self.param else "",
            f"task {self.task_id}" if self.task_id and self.task_id not in self.message else "",
            f"{self.method} {self.path}" if self.method else "",
            f"request id {self.request_id}" if self.request_id and self.request_id not in self.message else "",
            f"answered by {by}" if (by := getattr(self, "answered_by", None)) else "",
            f"{len(self.attempts)} attempts" if len(self.attempts) > 1 else "",
        ]
        known = ", ".join(fact for fact in facts if fact)
        sentence = f"{status}{self.message}{f' ({known})' if known else ''}"
        if self.not_retried_because:
            sentence = f"{_ended(sentence)} Not repeated: {self.not_retried_because}."
        hint = self.hint
        return f"{_ended(sentence)} {hint}." if hint else sentence

    def _finished(self, **facts: Any) -> Self:
        """The same error with what only its call knows. This one stays as it is."""
        finished = type(self).__new__(type(self))
        finished.args = (facts.get("message", self.message),)
        finished.__dict__.update(self.__dict__)
        finished.__dict__.update(facts)
        return finished

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.args == other.args and _plain(self) == _plain(other)

    def __hash__(self) -> int:
        return hash((type(self), self.args))


_FIRST_ERROR = 400
_BAD_GATEWAY = 502


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith(_SENTENCE_ENDS) else f"{sentence}."


def _plain(error: RelayDanceError) -> dict[str, Any]:
    return {name: value for name, value in vars(error).items() if not name.startswith("__")}


class _ArgumentError(RelayDanceError, ValueError):
    """Its text quotes an argument. An API key may have been pasted there by mistake."""

    def __init__(self, message: str = "", **details: Any) -> None:
        super().__init__(without_keys(message), **details)


class ConfigurationError(_ArgumentError):
    """The client was set up wrongly: no key, a bad URL, a limit out of range, a missing extra."""


class InvalidInputError(_ArgumentError):
    """An argument that can't be sent. Nothing was sent."""


class APIStatusError(RelayDanceError):
    """An error answer, also one with HTTP 200 around it.

    One of the gateway's own is not billed (API documentation). One of somebody in between may hide that the gateway
    goes on to accept: then `maybe_accepted` says so, and `answered_by` who it seems to have been.

    Attributes:
        retry_after: seconds that the answer asked to wait, or None when it didn't say.
        answered_by: who answered instead of the gateway, as far as the headers tell; None when the gateway did.
        raw_body: the first bytes of the answer (64 KiB at most; all of one with a good status), without the API key.
            The signature of a result's URL stays in it.
    """

    def __init__(
        self,
        message: str = "",
        *,
        retry_after: float | None = None,
        answered_by: str | None = None,
        raw_body: bytes = b"",
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.retry_after = retry_after
        self.answered_by = answered_by
        self.raw_body = raw_body

    @property
    def body(self) -> Any:
        """The answer's body: JSON decoded, or else its text."""
        return _decoded(self.raw_body)

    @property
    def response(self) -> ErrorResponse:
        """The answer, under the names that httpx and openai have for it."""
        return ErrorResponse(self.meta, self.raw_body)

    @property
    def documented_status(self) -> int:
        """See `RelayDanceError`. An error inside of an answer of HTTP 200 is an upstream's: 502."""
        came = self.status_code or 0
        return self._documented_status or (came if came >= _FIRST_ERROR else _BAD_GATEWAY)


class _AboutTheRequest(APIStatusError):
    """The fault is in what was asked for, so the gateway's text may help whoever asked."""

    @property
    def user_message(self) -> str | None:
        """The gateway's text. None when somebody else answered."""
        return self.message if self.answered_by is None else None


class BadRequestError(_AboutTheRequest):
    """400: a required parameter is missing or the body is malformed."""

    _documented_status = 400
    _hint = "Correct the request"


class AuthenticationError(APIStatusError):
    """401: the key is invalid, missing, revoked, expired or exhausted."""

    _documented_status = 401
    _hint = "Check RELAYDANCE_API_KEY, or the key's state and quota in the console"


class PermissionDeniedError(APIStatusError):
    """403: the key may not use this model or group."""

    _documented_status = 403
    _hint = "Use a key that may use this model"


class InsufficientBalanceError(PermissionDeniedError):
    """403: the account's balance, or the key's own quota, doesn't cover the request."""

    _hint = "Top up the account or raise the key's quota; `await client.account.balance()` shows what is left"


class NotFoundError(APIStatusError):
    """404: an unknown model, task or path. The gateway may send 503 `model_not_found` or 400 `task_not_exist`."""

    _documented_status = 404
    _hint = "Check the id; `await client.models.list()` shows the models that this key can use"

    @property
    def hint(self) -> str:
        """What to do about it."""
        if self.message.startswith("Invalid URL (") and not self.maybe_accepted:
            return "The gateway doesn't offer this path; if it should, check the base URL (it ends in /v1)"
        if self.task_id and not self.maybe_accepted:
            return "Check the task's id, and that the key is of the account that submitted it"
        return super().hint


class RequestTooLargeError(_AboutTheRequest):
    """413: the body is larger than the gateway takes (128 MB by default)."""

    _documented_status = 413
    _hint = "Send a smaller body, or upload the file and send its URL"


class RateLimitError(APIStatusError):
    """429: the key's rate limit."""

    _documented_status = 429
    _hint = "Slow down: a lower max_concurrency, or more attempts in RetryPolicy"


class ContentRefusedError(_AboutTheRequest):
    """The prompt or its result was refused by a content filter. Never repeated."""

    _documented_status = 422
    _hint = "Change the prompt; the same one will be refused again"


class ServerError(APIStatusError):
    """5xx: the gateway or an upstream failed, as a rule for seconds. Not billed."""

    _hint = "If it persists, send support_details() to RelayDance's support"


class APIConnectionError(RelayDanceError):
    """No answer came: the connection could not be made, or broke. `maybe_accepted` says whether the request was out."""

    _hint = "Check the network, the proxy settings and the base URL"


class APITimeoutError(APIConnectionError, TimeoutError):
    """No answer came in time: a `timeout` of one I/O phase, or the `deadline` over all attempts."""

    _hint = "Raise `timeout` or `deadline` if this is expected"


class ResponseDecodeError(RelayDanceError):
    """The answer is not what the API documents: HTML, the wrong shape, cut off.

    Attributes:
        raw_body: the bytes of the answer, up to `max_response_bytes`, so that what was paid for is not lost: as they
            came when their content coding is broken. Without the API key; the signature of a result's URL stays in it.
    """

    _hint = "Check the base URL (it ends in /v1) and any proxy in between"

    def __init__(self, message: str = "", *, raw_body: bytes = b"", **details: Any) -> None:
        super().__init__(message, **details)
        self.raw_body = raw_body

    @property
    def body(self) -> Any:
        """The answer's body: JSON decoded, or else its text."""
        return _decoded(self.raw_body)

    @property
    def response(self) -> ErrorResponse:
        """The answer, under the names that httpx and openai have for it."""
        return ErrorResponse(self.meta, self.raw_body)


class ResponseTooLargeError(ResponseDecodeError):
    """The answer is larger than `max_response_bytes`; reading was stopped."""

    _hint = "Raise max_response_bytes if such an answer is expected"


class StreamError(RelayDanceError):
    """The stream reported an error, or broke, after it had begun.

    Attributes:
        text: the answer's text so far (first choice).
        completion: all that had come: text, reasoning, tool calls, usage. None when nothing had.
    """

    _hint = "Ask again; what had arrived is in `text` and `completion`"

    def __init__(
        self, message: str = "", *, text: str = "", completion: ChatCompletion | None = None, **details: Any
    ) -> None:
        super().__init__(message, **details)
        self.text = text
        self.completion = completion

    @property
    def hint(self) -> str:
        """What to do about it. No retry policy helps: a stream that has begun is never repeated."""
        return f"{self._hint}. What came may be billed all the same" if self.maybe_accepted else self._hint


class IncompleteStreamError(StreamError):
    """The stream ended although a choice never got a `finish_reason`: the answer is cut off."""


class ParseError(RelayDanceError):
    """A chat's answer could not be made into what was asked for. It is paid for, and kept here.

    Attributes:
        text: of the choice that doesn't fit.
        completion: the whole answer.
        completions: all answers that were paid for, the last one included: `validate_retries` may have asked for more.
        problems: what is wrong, in sentences.
    """

    _hint = "The answer is in `text` and `completion`; to ask again costs again (validate_retries=)"

    def __init__(
        self,
        message: str = "",
        *,
        text: str = "",
        completion: ChatCompletion | None = None,
        completions: tuple[ChatCompletion, ...] = (),
        problems: tuple[str, ...] = (),
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.text = text
        self.completion = completion
        self.completions = completions
        self.problems = problems

    @property
    def hint(self) -> str:
        """What to do about it. That it was accepted is no doubt here."""
        return self._hint


class LengthFinishReasonError(ParseError):
    """The answer was cut off at `max_tokens`, or at what the model can write (OpenAI's name)."""

    _hint = "Raise max_tokens, or ask for less; what came is in `text` and `completion`"


class ContentFilterFinishReasonError(ParseError):
    """A content filter cut the answer off (OpenAI's name)."""

    _hint = "Change the prompt; what came is in `text` and `completion`"


class ToolRunError(RelayDanceError):
    """A model still called tools in the last turn that was allowed. `history` has what was paid for.

    Attributes:
        completion: the last answer.
    """

    _hint = "Raise max_turns, or go on with `history` as messages"

    def __init__(self, message: str = "", *, completion: ChatCompletion | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.completion = completion

    @property
    def hint(self) -> str:
        """What to do about it. That it was accepted is no doubt here."""
        return self._hint


def maybe_accepted(exception: BaseException) -> bool | None:
    """Whether a billed request that ended in this exception may have been accepted.

    It also knows of cancellations: those of a task, of `asyncio.timeout`, of `asyncio.wait_for` and of anyio's scopes.

    Args:
        exception: what was caught. Its causes, its contexts and the members of a group are looked at as well.

    Returns:
        True if one of them may have been accepted, False if none was. None if nothing is known, as of the exception
        that `gather` or a TaskGroup raises for a task that it has cancelled.
    """
    found: bool | None = None
    todo: list[BaseException | None] = [exception]
    seen: set[int] = set()
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        mark = one.maybe_accepted if isinstance(one, RelayDanceError) else getattr(one, _MARK, None)
        if mark:
            return True
        found = mark if mark is not None else found
        todo += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            todo += one.exceptions  # pyright: ignore[reportUnknownMemberType]
    return found


_MARK = "_relaydance_maybe_accepted"


def mark_accepted(exception: BaseException, accepted: bool, *, note: str = "") -> None:
    """Let an exception say whether the billed request that it ended may have been accepted.

    Args:
        exception: a cancellation, or any other that is none of ours; of ours, only that it was.
        accepted: whether it may have been. What was said before is not taken back.
        note: what to add to the exception then.
    """
    if isinstance(exception, RelayDanceError):
        exception.maybe_accepted = exception.maybe_accepted or accepted
        exception.retryable = exception.retryable and not exception.maybe_accepted
    else:
        setattr(exception, _MARK, accepted or getattr(exception, _MARK, False))
    if accepted and note:
        exception.add_note(note)


def mark_unsent(exception: BaseException, note: str) -> None:
    """Let an exception say that the billed request, which it kept from being sent, was not accepted: whatever else may
    have been.

    Args:
        note: what to add to the exception.
    """
    if isinstance(exception, RelayDanceError):
        exception.maybe_accepted = False
    else:
        setattr(exception, _MARK, False)
    exception.add_note(note)


class TaskError(RelayDanceError):
    """A video task didn't come to its clip.

    Attributes:
        task: the task as last seen, or None when it was never seen.
    """

    def __init__(self, message: str = "", *, task: VideoTask | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.task = task


class TaskFailedError(TaskError):
    """The task ended as failed. Failed tasks are not billed (API documentation). `task.error` has the reason.

    Attributes:
        code: of the upstream's reason, such as "OutputVideoSensitiveContentDetected"; None when it gave none.
    """

    _hint = "A failed task is not billed; submit again, with another prompt or model if the reason says so"

    @property
    def kind(self) -> FailureKind:
        """Whether it helps to submit again, by the upstream's code:

        - "refused content": a filter refused the prompt, a reference or the result. Change them first.
        - "bad input": a parameter is wrong. Correct it first.
        - "transient": the upstream had a fault, no time or no room. The same submit may succeed.
        - "unknown": no code, or one that isn't known.
        """
        if self.code is None and self.task is not None:
            return failure_kind(self.task.raw_status)  # "timeout" and "expired" come without a reason
        return failure_kind(self.code)

    @property
    def user_message(self) -> str | None:
        """The upstream's reason, where what was asked for is the reason; else None."""
        about_the_request = self.kind in ("refused content", "bad input")
        return self.task.error.message if about_the_request and self.task is not None and self.task.error else None

    @property
    def hint(self) -> str:
        """What to do about it, by `kind`."""
        then = _AFTER_FAILURE.get(self.kind)
        return f"A failed task is not billed. {then}" if then else self._hint


_AFTER_FAILURE: dict[FailureKind, str] = {
    "refused content": "Change the prompt or the references; the same ones will be refused again",
    "bad input": "Correct the request before you submit again",
    "transient": "Submit again",
}


class TaskTimeoutError(TaskError, TimeoutError):
    """The task was not ready when the wait ended: its deadline passed, or nobody but strangers answered for 10 minutes.

    The task goes on, and is paid for when it succeeds. What the last poll failed of, if it did, is in the message and
    in `__cause__`.
    """

    @property
    def hint(self) -> str:
        """How to resume: the id is all it takes."""
        goes_on = "The task goes on" if self.task is not None else "The task may go on"
        return f"{goes_on}: resume with `await client.video.wait({self.task_id!r})`"


DownloadErrorKind: TypeAlias = Literal[
    "disk", "path", "too large", "expired", "refused host", "broken", "changed", "unknown"
]

_DOWNLOAD_HINTS: dict[DownloadErrorKind, str] = {
    "disk": "Make room or repair the disk, then download again: it goes on from what was written",
    "path": "Choose another path",
    "too large": "Raise max_bytes if a file of that size is expected",
    "expired": "Its URL is no longer valid: `video.retrieve` gets a fresh one, while the gateway has the clip; an "
    "image has no other URL",
    "refused host": "If you trust that host, pass allow_private_hosts=True for an address that is not public; nothing "
    "else is taken",
    "broken": "Download again",
    "changed": "Download again, from the start: the server has another file now",
}


class DownloadError(RelayDanceError):
    """A clip or an image could not be saved whole. Nothing was written under the final name.

    Attributes:
        kind: what stood in the way: "disk" (full or broken), "path" (nothing can, or may, be written there),
            "too large" (above `max_bytes`), "expired" (the URL, and a fresh one could not be had or did not help),
            "refused host" (its URL is not to be trusted), "broken" (it did not come, not whole, or is none), "changed"
            (the server has another file than the one that was begun), or "unknown".
    """

    _hint = "Download again; result URLs may expire, `video.retrieve` gets a fresh one"

    def __init__(self, message: str = "", *, kind: DownloadErrorKind = "unknown", **details: Any) -> None:
        super().__init__(message, **details)
        self.kind: DownloadErrorKind = kind

    @property
    def hint(self) -> str:
        """What to do about it, by its kind."""
        return _DOWNLOAD_HINTS.get(self.kind, self._hint)


class FanOutStoppedError(RelayDanceError):
    """A fan-out began no more items: one of them failed with a class of `stop_on`, or the iterable did.

    The error that stopped it is the `__cause__`. The items that had begun went on to their ends, and you were given the
    outcome of each.

    Attributes:
        index: of the first item that was not begun. With a list, `items[index:]` are those that are left.
        outcomes: of `fan_out_list`, how each item before it ended. Of `fan_out`, which has given them out, empty.
    """

    _hint = "Mend what stopped it, and go on with the items from that index"

    def __init__(
        self, message: str = "", *, index: int = 0, outcomes: tuple[Outcome[Any, Any], ...] = (), **details: Any
    ) -> None:
        super().__init__(message, **details)
        self.index = index
        self.outcomes = outcomes


class WebhookError(RelayDanceError):
    """A webhook delivery was refused."""


class WebhookVerificationError(WebhookError):
    """The delivery's URL has no valid token of ours: forged, expired or of another secret."""


class WebhookPayloadError(WebhookError):
    """The delivery's body is not a task."""


class IdempotencyError(RelayDanceError):
    """An idempotency key stands in the way of a call. Nothing was sent.

    Attributes:
        entry: the key's, as the journal has it.
    """

    def __init__(self, message: str = "", *, entry: JournalEntry | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.entry = entry


class IdempotencyKeyReusedError(IdempotencyError, ValueError):
    """The same idempotency key was used for another request: other parameters, another file, or another endpoint."""

    _hint = "Give each request a key of its own; the same one only for the same request"


class SubmissionInDoubtError(IdempotencyError):
    """An earlier request of this key may have been accepted, and nobody knows. It is not sent again by itself."""

    @classmethod
    def of(cls, entry: JournalEntry) -> Self:
        """The error of an entry that is in doubt."""
        why = f": {entry.reason}" if entry.reason else ": its process ended before the answer came"
        message = f"the request of key {entry.key!r}, sent at {entry.sent_at:%Y-%m-%d %H:%M:%S} UTC, is in doubt{why}"
        return cls(message, entry=entry, task_id=entry.task_id, maybe_accepted=True)

    @property
    def hint(self) -> str:
        """What can be done."""
        key = self.entry.key if self.entry is not None else ""
        if self.entry is not None and self.entry.answer is not None:
            return (
                "it was paid for, and what came of it is in `error.entry.answer`; "
                f"`await journal.release({key!r})` lets it be sent again, and paid for again"
            )
        return (
            "`await client.resolve_doubts()` decides it where that can be known; by hand, once the console has told: "
            f"`await journal.settle({key!r}, task_id=…)` if it was accepted, `await journal.release({key!r})` if not"
        )


JournalErrorKind: TypeAlias = Literal[
    "busy", "full", "disk", "path", "corrupt", "newer", "foreign", "network", "server", "closed", "state", "unknown"
]

_JOURNAL_HINTS: dict[JournalErrorKind, str] = {
    "busy": "Another process holds it for too long: look for a backup or an open transaction, then call again",
    "full": "Make room, then call again",
    "disk": "Repair the disk, then call again",
    "path": "Choose a file that this process may write, in a directory that is there",
    "corrupt": "Restore a copy made by `journal.backup(path)`, or set the file aside and look at the console",
    "newer": "Upgrade relaydance_async where this runs",
    "foreign": "Choose another file",
    "network": "Put it on a local disk; for several machines there are databases",
    "server": "See that the PostgreSQL server runs, can be reached, and lets this user in and write; then call again",
    "closed": "Keep the journal open for as long as its clients are used",
}


class JournalError(RelayDanceError):
    """The journal could not be read or written.

    A call that it keeps from noting what it is about to send, is not sent. One that was accepted, but can't be noted,
    has what it was paid for in `result` and `task_id`.

    Attributes:
        kind: "busy" (another process holds it for too long), "full" (the disk is), "disk" (it is broken), "path" (it
            can't be opened there), "corrupt", "newer" (written by a newer version), "foreign" (a file of another
            program), "network" (a network file system), "server" (it can't be reached, or doesn't let this user in),
            "closed", "state" (the entry is not in a state for that), or "unknown".
        result: what the call would have given, or None.
    """

    def __init__(
        self, message: str = "", *, kind: JournalErrorKind = "unknown", result: Any = None, **details: Any
    ) -> None:
        super().__init__(message, **details)
        self.kind: JournalErrorKind = kind
        self.result = result

    @property
    def hint(self) -> str:
        """What to do about it, by its kind."""
        hint = _JOURNAL_HINTS.get(self.kind, "")
        if not self.maybe_accepted:
            return hint
        return f"It was accepted, and is in `error.result`: keep that. {hint}"
