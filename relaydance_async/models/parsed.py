"""Chat completions whose text has been made into what the caller asked for."""

from __future__ import annotations

from typing import Generic, TypeVar, cast

from pydantic import Field

from .chat import ChatCompletion, ChatMessage, Choice

T = TypeVar("T")


class ParsedMessage(ChatMessage, Generic[T]):
    """An answer, and what was made of its text.

    Attributes:
        parsed: the value; None when the model refused (`refusal` says why) or called tools instead. It is in no dump:
            `content` has the same as JSON.
    """

    parsed: T | None = Field(default=None, exclude=True)


class ParsedChoice(Choice, Generic[T]):
    """One of the answers of a `ParsedChatCompletion`."""

    message: ParsedMessage[T]  # pyright: ignore[reportIncompatibleVariableOverride]


class ParsedChatCompletion(ChatCompletion, Generic[T]):
    """The answer of `chat.completions.parse`: a `ChatCompletion` whose messages have `parsed`."""

    choices: list[ParsedChoice[T]]  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleVariableOverride]


def with_values(completion: ChatCompletion, values: list[T | None]) -> ParsedChatCompletion[T]:
    """The completion with a value for each of its choices."""
    # Of the class without a parameter: one with a parameter, which pydantic makes, can't be pickled.
    unparsed = completion.model_dump(exclude_unset=True)
    parsed = cast("ParsedChatCompletion[T]", ParsedChatCompletion.model_validate(unparsed))
    for choice, value in zip(parsed.choices, values, strict=True):
        choice.message.parsed = value
    parsed.give_meta(completion.meta)
    return parsed
