"""What becomes of a chat's text when a format was asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

from .._sansio.response_format import MisfitError, ResponseFormat
from ..errors import (
    ContentFilterFinishReasonError,
    InvalidInputError,
    LengthFinishReasonError,
    ParseError,
    RelayDanceError,
)
from ..models.chat import ChatCompletion, ChatMessage, Choice
from ..models.parsed import ParsedChatCompletion, with_values
from ._messages import Message, as_plain

T = TypeVar("T")

Ask: TypeAlias = Callable[[list[Message], int], Coroutine[Any, Any, ChatCompletion]]
"""Asks with these messages; the number is 0, then 1 for the first time again."""

_MOST_RETRIES = 10


def parse_completion(completion: ChatCompletion, wanted: ResponseFormat[T] | None) -> ParsedChatCompletion[T]:
    """The completion with the value of each of its choices. Without a format there are none.

    Raises:
        LengthFinishReasonError, ContentFilterFinishReasonError, ParseError: a choice has none.
    """
    values = [None if wanted is None else _value_of(choice, wanted, completion) for choice in completion.choices]
    return with_values(completion, values)


def _value_of(choice: Choice, wanted: ResponseFormat[T], completion: ChatCompletion) -> T | None:
    message = choice.message
    if choice.finish_reason == "length":
        raise _error(LengthFinishReasonError, "the answer was cut off at the limit of tokens", message, completion)
    if choice.finish_reason == "content_filter" and not message.refusal:
        raise _error(ContentFilterFinishReasonError, "a content filter cut the answer off", message, completion)
    if message.refusal or (message.tool_calls and not message.content):
        return None
    try:
        return wanted.parse(message.content or "")
    except MisfitError as misfit:
        problems = tuple(misfit.problems)
    except Exception as fault:  # of a validator of the caller's: the answer is paid for all the same
        told = f"the type raised {type(fault).__name__} when it read the answer"
        raise _error(ParseError, told, message, completion) from fault
    told = f"the answer doesn't fit the format: {'; '.join(problems)}"
    raise _error(ParseError, told, message, completion, problems)


def _error(
    kind: type[ParseError], told: str, message: ChatMessage, completion: ChatCompletion, problems: tuple[str, ...] = ()
) -> ParseError:
    return kind(
        told,
        text=message.content or "",
        completion=completion,
        completions=(completion,),
        problems=problems,
        meta=completion.meta,
        maybe_accepted=True,
    )


async def ask_until_valid(
    answer: Awaitable[ChatCompletion], ask: Ask, messages: list[Message], wanted: ResponseFormat[T], retries: int
) -> ParsedChatCompletion[T]:
    """Ask, and again when the answer doesn't fit, showing the model what is wrong with it.

    Args:
        answer: of the first time.
        ask: asks again.
        messages: of the first time.
        wanted: the format.
        retries: how often to ask again.

    Raises:
        ParseError: also the last answer doesn't fit; `completions` has all.
        RelayDanceError: of a call; `history` has the messages with the answers that were paid for before.
    """
    paid: list[ChatCompletion] = []
    while True:
        try:
            paid.append(await answer)
        except RelayDanceError as error:
            error.history = tuple(map(as_plain, messages)) if paid else ()
            raise
        try:
            return parse_completion(paid[-1], wanted)
        except ParseError as error:
            error.completions = tuple(paid)
            if len(paid) > retries or not error.problems:  # the next would be cut off too, or meet the same fault
                raise
            messages = [*messages, *_told(error)]
        answer = ask(messages, len(paid))


def _told(error: ParseError) -> list[Message]:
    wrong = "\n".join(f"- {problem}" for problem in error.problems)
    asked = f"Your answer doesn't fit the format:\n{wrong}\nAnswer again with JSON that fits it, and nothing else."
    return [{"role": "assistant", "content": error.text}, {"role": "user", "content": asked}]


def check_retries(value: object) -> int:
    """A small whole number.

    Raises:
        InvalidInputError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_RETRIES:
        raise InvalidInputError(f"validate_retries must be a whole number from 0 to {_MOST_RETRIES}, not {value!r}")
    return value


def key_of(key: str | None, number: int) -> str | None:
    """The idempotency key of the request of that number: each is another one, and paid for by itself."""
    return key if key is None or number == 0 else f"{key}/{number}"
