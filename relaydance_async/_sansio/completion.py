"""The chunks of a streamed completion into the whole that they are pieces of.

Fields that this version doesn't know are paid for too, so none is dropped. How their pieces come together:

- text that is known to come in pieces (see TEXT) is joined;
- lists are put one after the other, objects are merged field by field;
- of anything else the last value counts, and `null` never replaces a value.

Of a chunk's own fields, such as `system_fingerprint`, the last value counts: they describe the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from ..models.chat import ChatCompletion, ChatCompletionChunk, ChoiceDelta, ChunkChoice, ToolCallDelta, Usage

TEXT = frozenset(
    {"arguments", "content", "data", "reasoning", "reasoning_content", "refusal", "text", "thinking", "transcript"}
)
"""Fields whose strings come in pieces (OpenAI's API reference, and `audio.data`, `audio.transcript` of it)."""

_DEPTH = 4
"""Levels of unknown objects that are merged. Deeper ones count as one value."""


class _Pieces(list[str]):
    """Text so far. Joined at the end: to join at each piece would take quadratic time."""


class _Merged(dict[str, Any]):
    """An object so far. It is ours, while the values in it are also the chunks'."""

    def add(self, more: Mapping[str, Any], depth: int = _DEPTH) -> None:
        """Take what one more chunk says."""
        for name, value in more.items():
            before = self.get(name)
            if value is None:
                self.setdefault(name, None)
            elif isinstance(value, str) and name in TEXT:
                self._own(name, before, _Pieces).append(value)
            elif isinstance(value, list):
                self._own(name, before, _Items).extend(value)
            elif isinstance(value, dict) and depth:
                self._own(name, before, _Merged).add(cast("dict[str, Any]", value), depth - 1)
            else:
                self[name] = value

    def _own(self, name: str, before: Any, kind: type[Any]) -> Any:
        if not isinstance(before, kind):
            before = self[name] = kind()
        return before

    def build(self) -> dict[str, Any]:
        """The object as far as it has come."""
        return {name: _build(value) for name, value in self.items()}


class _Items(list[Any]):
    """A list so far."""


def _build(value: Any) -> Any:
    if isinstance(value, _Pieces):
        return "".join(value)
    if isinstance(value, _Merged):
        return value.build()
    return list(cast("list[Any]", value)) if isinstance(value, _Items) else value


class ToolCallSoFar:
    """What has come of one tool call."""

    __slots__ = ("arguments", "extra", "function_extra", "id", "name", "type")

    def __init__(self) -> None:
        self.id: str | None = None
        self.type: str = "function"
        self.name: str | None = None
        self.arguments: list[str] = []
        self.extra: _Merged = _Merged()
        self.function_extra: _Merged = _Merged()

    def is_over(self, piece: ToolCallDelta) -> bool:
        """Whether the piece begins another call. Some upstreams leave the index out, or give the same to all."""
        name = piece.function.name if piece.function is not None else None
        if not name:
            return False  # some give each piece an id of its own
        if self.id and piece.id:
            return piece.id != self.id
        return bool(self.name) and name != self.name

    def add(self, piece: ToolCallDelta) -> None:
        """Take one more piece, in order."""
        self.id = self.id or piece.id
        self.type = piece.type or self.type
        self.extra.add(piece.__pydantic_extra__ or {})
        if piece.function is not None:
            self.name = piece.function.name or self.name
            self.arguments.append(piece.function.arguments or "")
            self.function_extra.add(piece.function.__pydantic_extra__ or {})

    def build(self) -> dict[str, Any]:
        """The call as far as it has come."""
        function = {**self.function_extra.build(), "name": self.name, "arguments": "".join(self.arguments)}
        return {**self.extra.build(), "id": self.id, "type": self.type, "function": function}


class ToolCallsSoFar:
    """The tool calls of one choice. Pieces of the same index belong together."""

    def __init__(self) -> None:
        self._calls: list[tuple[int, ToolCallSoFar]] = []
        self._open: dict[int, ToolCallSoFar] = {}
        self._last = 0

    def add(self, piece: ToolCallDelta) -> None:
        """Take one more piece, in order."""
        if "index" in piece.model_fields_set:
            self._last = piece.index
        else:
            self._reopen(piece.id)
        index = self._last
        call = self._open.get(index)
        if call is None or call.is_over(piece):
            call = self._open[index] = ToolCallSoFar()
            self._calls.append((index, call))
        call.add(piece)

    def _reopen(self, id: str | None) -> None:
        """A piece without an index goes on with the call of its id, or with the one that the piece before was of."""
        for index, call in self._calls:
            if id and call.id == id:
                self._last = index
                self._open[index] = call

    def __iter__(self) -> Iterator[ToolCallSoFar]:
        """As they came."""
        return (call for _, call in self._calls)

    def build(self) -> Iterator[dict[str, Any]]:
        """In the order of their indices; under the same one, as they came."""
        for _, call in sorted(self._calls, key=lambda each: each[0]):
            yield call.build()


class ChoiceSoFar:
    """What the chunks of one choice have brought, in pieces."""

    __slots__ = (
        *("content", "extra", "finish_reason", "message_extra", "reasoning", "reasoning_content", "refusal", "role"),
        "tool_calls",
    )

    def __init__(self) -> None:
        self.role: str = "assistant"
        self.content: list[str] = []
        self.refusal: list[str] = []
        self.reasoning_content: list[str] = []
        self.reasoning: list[str] = []
        self.tool_calls: ToolCallsSoFar | None = None
        self.finish_reason: str | None = None
        self.extra: _Merged = _Merged()
        self.message_extra: _Merged = _Merged()

    def add(self, choice: ChunkChoice) -> None:
        """Take one more piece, in order."""
        delta = choice.delta
        if delta.content:
            self.content.append(delta.content)
        if delta.reasoning_content:
            self.reasoning_content.append(delta.reasoning_content)
        if delta.reasoning:
            self.reasoning.append(delta.reasoning)
        if delta.refusal:
            self.refusal.append(delta.refusal)
        if delta.role:
            self.role = delta.role
        if delta.tool_calls:
            self._add_tool_calls(delta)
        if delta.__pydantic_extra__:
            self.message_extra.add(delta.__pydantic_extra__)
        if choice.finish_reason:
            self.finish_reason = choice.finish_reason
        if choice.__pydantic_extra__:
            self.extra.add(choice.__pydantic_extra__)

    def _add_tool_calls(self, delta: ChoiceDelta) -> None:
        if self.tool_calls is None:
            self.tool_calls = ToolCallsSoFar()
        for piece in delta.tool_calls or ():
            self.tool_calls.add(piece)

    def build(self, index: int) -> dict[str, Any]:
        """The choice as far as it has come."""
        message: dict[str, Any] = {**self.message_extra.build(), "role": self.role}
        for name in ("content", "refusal", "reasoning_content", "reasoning"):
            if pieces := getattr(self, name):
                message[name] = "".join(pieces)
        if self.tool_calls is not None:
            message["tool_calls"] = list(self.tool_calls.build())
        extra = self.extra.build()
        if "message" in extra:
            # The last chunk of some upstreams has the whole once more.
            extra["raw_message"] = extra["message"]
        return {**extra, "index": index, "message": message, "finish_reason": self.finish_reason}


def whole_chunk(completion: ChatCompletion) -> ChatCompletionChunk:
    """A completion that came at once, as the only chunk of a stream."""
    fields = completion.model_dump(exclude_unset=True)
    choices: list[dict[str, Any]] = fields["choices"]
    for choice in choices:
        delta: dict[str, Any] = choice.pop("message")
        choice["delta"] = delta
        for index, call in enumerate(delta.get("tool_calls") or ()):
            call["index"] = index
    return ChatCompletionChunk.model_validate({**fields, "object": "chat.completion.chunk"})


class CompletionBuilder:
    """Puts the chunks of a stream together again into the completion that they are pieces of."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._extra: dict[str, Any] = {}
        self._choices: dict[int, ChoiceSoFar] = {}
        self._usage: Usage | None = None

    def add(self, chunk: ChatCompletionChunk) -> None:
        """Take one more chunk, in order."""
        if not self._head:
            self._head = {"id": chunk.id, "created": chunk.created, "model": chunk.model}
        if chunk.usage is not None:
            self._usage = chunk.usage
        if chunk.__pydantic_extra__:
            self._add_extra(chunk.__pydantic_extra__)
        for choice in chunk.choices:
            so_far = self._choices.get(choice.index)
            if so_far is None:
                so_far = self._choices[choice.index] = ChoiceSoFar()
            so_far.add(choice)

    def _add_extra(self, extra: Mapping[str, Any]) -> None:
        for name, value in extra.items():
            if value is not None or name not in self._extra:
                self._extra[name] = value

    @property
    def text(self) -> str:
        """The first choice's text so far."""
        return "".join(self._choices[0].content) if 0 in self._choices else ""

    def knows(self, index: int) -> bool:
        """Whether anything of that choice has come."""
        return index in self._choices

    def choice(self, index: int) -> ChoiceSoFar:
        """What has come of that choice."""
        return self._choices[index]

    @property
    def unfinished(self) -> list[int]:
        """The choices that have no `finish_reason` yet."""
        return [index for index, choice in self._choices.items() if not choice.finish_reason]

    @property
    def began(self) -> bool:
        """Whether any chunk came."""
        return bool(self._head)

    @property
    def empty(self) -> bool:
        """Whether no choice came at all."""
        return not self._choices

    def build(self) -> ChatCompletion:
        """The completion as far as it has come."""
        choices = [self._choices[index].build(index) for index in sorted(self._choices)]
        known = {"object": "chat.completion", **self._head, "choices": choices, "usage": self._usage}
        return ChatCompletion.model_validate({**self._extra, **known})
