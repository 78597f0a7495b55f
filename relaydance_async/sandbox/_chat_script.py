"""What the next chats answer, as a test says it."""

from __future__ import annotations

import dataclasses
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict, Unpack, cast

from ._checks import check_number, check_whole
from ._faults import Fault

Parts = Sequence[Mapping[str, Any]]
Raw = Mapping[str, Any] | Sequence[Mapping[str, Any] | str | bytes] | str | bytes


@dataclass(frozen=True)
class ChatReply:
    """One answer of `POST /v1/chat/completions`, whole or streamed as the caller asks."""

    text: str | Parts | None = None
    """The content: a string, or a list of parts."""
    _: dataclasses.KW_ONLY
    tool_calls: Sequence[Mapping[str, Any]] = ()
    """Each with `name`, `arguments` (an object, or any string), and perhaps an `id`."""
    refusal: str | None = None
    reasoning: str = ""
    finish_reason: str | None = None
    """None for "tool_calls" or "stop", whichever fits; "" for none at all, as of an upstream that broke off."""
    usage: Mapping[str, Any] | None = None
    """None for one that fits the text."""
    message: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Laid over the message, or over the first delta of a stream: images, audio, annotations, nulls."""
    pieces: int | Sequence[str] | None = None
    """How a stream is cut: so many characters each, or these very pieces of the text. None for words."""
    delay: float = 0.0
    """Real seconds before each piece of a stream."""
    stream: bool | None = None
    """Stream, or don't, whatever the caller asks for."""
    done: bool = True
    """Whether a stream ends with `[DONE]`."""
    status: int | None = None
    code: str | None = None
    error: str | None = None
    """Its message. An error instead of an answer (not billed), with `status` (500) and `code`."""
    error_after: int | None = None
    """The error comes in mid-stream, after so many events."""
    raw: Raw | None = None
    """The very body: an object or a text; or the events of a stream, each an object, the text after `data: `, or
    bytes as they go over the wire."""

    def __post_init__(self) -> None:
        check_number("delay", self.delay, 0, 3600)
        if self.status is not None:
            check_whole("status", self.status, 200, 599)
        if self.error_after is not None:
            check_whole("error_after", self.error_after)
        if isinstance(self.pieces, int):
            check_whole("pieces", self.pieces, 1)

    @property
    def fails(self) -> bool:
        """Whether it is an error from the start."""
        given = (self.status, self.code, self.error)
        return self.error_after is None and any(part is not None for part in given)

    def as_fault(self) -> Fault:
        """The error as the fault that would answer with it."""
        return Fault(status=self.status or 500, code=self.code, message=self.error)

    @classmethod
    def from_json(cls, value: object) -> ChatReply:
        """From a JSON object with these fields."""
        if not isinstance(value, dict):
            raise ValueError("a reply is a JSON object")
        fields = cast("dict[str, Any]", value)
        known = {f.name for f in dataclasses.fields(cls)} - {"_"}
        if unknown := sorted(set(fields) - known):
            raise ValueError(f"a reply has no {', '.join(unknown)}")
        return cls(**fields)


class ReplyOptions(TypedDict, total=False):
    """The fields of `ChatReply` by name."""

    tool_calls: Sequence[Mapping[str, Any]]
    refusal: str | None
    reasoning: str
    finish_reason: str | None
    usage: Mapping[str, Any] | None
    message: Mapping[str, Any]
    pieces: int | Sequence[str] | None
    delay: float
    stream: bool | None
    done: bool
    status: int | None
    code: str | None
    error: str | None
    error_after: int | None
    raw: Raw | None


class ChatScript:
    """The replies that wait for their chats: first in, first out. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._replies: deque[ChatReply] = deque()

    def reply(self, text: str | Parts | None = None, **options: Unpack[ReplyOptions]) -> None:
        """Queue the answer of the next chat that has none yet; `options` are the fields of `ChatReply`."""
        self.add(ChatReply(text, **options))

    def add(self, *replies: ChatReply) -> None:
        """Queue answers of the next chats."""
        with self._lock:
            self._replies.extend(replies)

    @property
    def left(self) -> int:
        """How many replies still wait."""
        return len(self._replies)

    def next(self) -> ChatReply | None:
        """The reply for a chat that was accepted; None when nothing is scripted."""
        with self._lock:
            return self._replies.popleft() if self._replies else None

    def clear(self) -> None:
        """Forget the replies that wait."""
        with self._lock:
            self._replies.clear()
