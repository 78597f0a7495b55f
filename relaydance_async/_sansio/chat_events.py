"""The events of a streamed completion, in openai's style, over the pieces that it is put together from.

A snapshot is made when it is asked for: one for each piece would take quadratic time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from pydantic_core import from_json

from ..models.chat import ChatCompletion, ChatCompletionChunk, ChunkChoice
from ..models.parsed import ParsedChatCompletion
from .completion import ChoiceSoFar, CompletionBuilder, ToolCallSoFar
from .response_format import ResponseFormat

T = TypeVar("T")


class _Text:
    """A text as far as it had come at one moment."""

    __slots__ = ("_count", "_pieces")

    def __init__(self, pieces: list[str]) -> None:
        self._pieces = pieces
        self._count = len(pieces)

    def __str__(self) -> str:
        return "".join(self._pieces[: self._count])


@dataclass(frozen=True, slots=True)
class ChunkEvent:
    """A chunk came. The events of what is in it follow.

    Attributes:
        chunk: as it came.
    """

    chunk: ChatCompletionChunk
    _so_far: CompletionBuilder = field(repr=False, compare=False)
    type: Literal["chunk"] = "chunk"

    @property
    def snapshot(self) -> ChatCompletion:
        """The completion as far as it has come when this is asked for."""
        return self._so_far.build()


@dataclass(frozen=True, slots=True)
class ContentDeltaEvent:
    """More of the text.

    Attributes:
        delta: what is new.
        choice: the number of the choice, when `n` asked for more than one.
    """

    delta: str
    choice: int
    _text: _Text = field(repr=False, compare=False)
    _format: ResponseFormat[Any] | None = field(repr=False, compare=False)
    type: Literal["content.delta"] = "content.delta"

    @property
    def snapshot(self) -> str:
        """The text so far."""
        return str(self._text)

    @property
    def parsed(self) -> Any:
        """With a `response_format`: what of the value has come, as plain data that nothing has checked yet."""
        return None if self._format is None else self._format.partial(str(self._text))


@dataclass(frozen=True, slots=True)
class ContentDoneEvent(Generic[T]):
    """The text is whole.

    Attributes:
        content: all of it.
        parsed: with a `response_format`: the value.
        choice: the number of the choice.
    """

    content: str
    parsed: T | None
    choice: int
    type: Literal["content.done"] = "content.done"


@dataclass(frozen=True, slots=True)
class RefusalDeltaEvent:
    """More of a refusal."""

    delta: str
    choice: int
    _text: _Text = field(repr=False, compare=False)
    type: Literal["refusal.delta"] = "refusal.delta"

    @property
    def snapshot(self) -> str:
        """The refusal so far."""
        return str(self._text)


@dataclass(frozen=True, slots=True)
class RefusalDoneEvent:
    """The refusal is whole."""

    refusal: str
    choice: int
    type: Literal["refusal.done"] = "refusal.done"


@dataclass(frozen=True, slots=True)
class ReasoningDeltaEvent:
    """More of the reasoning text (`reasoning_content` or `reasoning`). openai's client has no such event."""

    delta: str
    choice: int
    _text: _Text = field(repr=False, compare=False)
    type: Literal["reasoning.delta"] = "reasoning.delta"

    @property
    def snapshot(self) -> str:
        """The reasoning so far."""
        return str(self._text)


@dataclass(frozen=True, slots=True)
class FunctionToolCallArgumentsDeltaEvent:
    """More of the arguments of a tool call.

    Attributes:
        name: of the function.
        index: the number of the call, as they came.
        arguments_delta: what is new.
        choice: the number of the choice.
    """

    name: str
    index: int
    arguments_delta: str
    choice: int
    _text: _Text = field(repr=False, compare=False)
    type: Literal["tool_calls.function.arguments.delta"] = "tool_calls.function.arguments.delta"

    @property
    def arguments(self) -> str:
        """The JSON text so far."""
        return str(self._text)

    @property
    def parsed_arguments(self) -> Any:
        """What of the arguments has come, as plain data."""
        return _json(self.arguments, partial=True)


@dataclass(frozen=True, slots=True)
class FunctionToolCallArgumentsDoneEvent:
    """The arguments of a tool call are whole.

    Attributes:
        name: of the function.
        index: the number of the call, as they came.
        arguments: the JSON text.
        choice: the number of the choice.
    """

    name: str
    index: int
    arguments: str
    choice: int
    type: Literal["tool_calls.function.arguments.done"] = "tool_calls.function.arguments.done"

    @property
    def parsed_arguments(self) -> Any:
        """The arguments as plain data; None when the model wrote no JSON."""
        return _json(self.arguments)


ChatEvent: TypeAlias = (
    ChunkEvent
    | ContentDeltaEvent
    | ContentDoneEvent[T]
    | RefusalDeltaEvent
    | RefusalDoneEvent
    | ReasoningDeltaEvent
    | FunctionToolCallArgumentsDeltaEvent
    | FunctionToolCallArgumentsDoneEvent
)


class EventTracker(Generic[T]):
    """Says what each chunk brought.

    Args:
        so_far: where the chunks are put together. Each must be in there, and none after it, when it is given to `take`.
        wanted: what the text is to be made into, if anything.
    """

    def __init__(self, so_far: CompletionBuilder, wanted: ResponseFormat[T] | None) -> None:
        self._so_far = so_far
        self._wanted = wanted
        self._told: dict[tuple[int, int], int] = {}
        """Of each tool call of each choice, how many pieces of its arguments."""

    def take(self, chunk: ChatCompletionChunk) -> Iterator[ChatEvent[T]]:
        """The events of one more chunk."""
        yield ChunkEvent(chunk, self._so_far)
        for choice in chunk.choices:
            yield from self._of_choice(choice, self._so_far.choice(choice.index))

    def _of_choice(self, choice: ChunkChoice, so_far: ChoiceSoFar) -> Iterator[ChatEvent[T]]:
        delta, index = choice.delta, choice.index
        if delta.reasoning_content:
            yield ReasoningDeltaEvent(delta.reasoning_content, index, _Text(so_far.reasoning_content))
        if delta.reasoning:
            yield ReasoningDeltaEvent(delta.reasoning, index, _Text(so_far.reasoning))
        if delta.content:
            yield ContentDeltaEvent(delta.content, index, _Text(so_far.content), self._wanted)
        if delta.refusal:
            yield RefusalDeltaEvent(delta.refusal, index, _Text(so_far.refusal))
        if delta.tool_calls:
            for number, call in enumerate(so_far.tool_calls or ()):
                yield from self._of_call(index, number, call)

    def _of_call(self, choice: int, number: int, call: ToolCallSoFar) -> Iterator[ChatEvent[T]]:
        told = self._told.get((choice, number), 0)
        self._told[choice, number] = len(call.arguments)
        if new := "".join(call.arguments[told:]):
            text = _Text(call.arguments)
            yield FunctionToolCallArgumentsDeltaEvent(call.name or "", number, new, choice, text)

    def end(self, completion: ParsedChatCompletion[T]) -> Iterator[ChatEvent[T]]:
        """The events of the end."""
        for choice in completion.choices:
            message = choice.message
            if message.content:
                yield ContentDoneEvent(message.content, message.parsed, choice.index)
            if message.refusal:
                yield RefusalDoneEvent(message.refusal, choice.index)
            for number, call in enumerate(message.tool_calls or ()):
                if call.function is not None:
                    done = call.function.name or "", number, call.function.arguments, choice.index
                    yield FunctionToolCallArgumentsDoneEvent(*done)


def _json(text: str, *, partial: bool = False) -> Any:
    try:
        return from_json(text, allow_partial="trailing-strings" if partial else False) if text else None
    except ValueError:
        return None
