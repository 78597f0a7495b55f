"""The root of all errors: what each of them tells."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Self

from ..models.meta import AttemptRecord, ResponseMeta

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


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith(_SENTENCE_ENDS) else f"{sentence}."


def _plain(error: RelayDanceError) -> dict[str, Any]:
    return {name: value for name, value in vars(error).items() if not name.startswith("__")}
