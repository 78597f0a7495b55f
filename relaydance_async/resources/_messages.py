"""The messages and tools of a chat, as they are sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, cast

from pydantic import BaseModel

from ..errors import InvalidInputError

Message: TypeAlias = Mapping[str, Any] | BaseModel
"""As OpenAI's; the message of an earlier answer can be passed back as it is."""

_NO_LISTS = (str, bytes, Mapping)


def as_messages(messages: Iterable[Message]) -> list[Message]:
    """A list of them.

    Raises:
        InvalidInputError: there is none, or it is no list.
    """
    if not isinstance(messages, list) and isinstance(messages, _NO_LISTS):
        raise InvalidInputError("messages must be a list of messages, such as [{'role': 'user', 'content': 'Hi'}]")
    result = [_as_sent(message) if isinstance(message, BaseModel) else message for message in messages]
    if not result:
        raise InvalidInputError("messages must not be empty")
    return result


def as_plain(message: Message) -> dict[str, Any]:
    """A message as it is sent, as plain data."""
    sent = _as_sent(message) if isinstance(message, BaseModel) else message
    return sent.model_dump(exclude_none=True) if isinstance(sent, BaseModel) else dict(sent)


def as_tool_params(tools: Any) -> Any:
    """Those that were made by `tool` as the API takes them; all others as they are."""
    if not isinstance(tools, Iterable) or isinstance(tools, _NO_LISTS):
        return cast(object, tools)
    found = cast("Iterable[Any]", tools)  # type: ignore[redundant-cast]
    return [each.to_param() if hasattr(each, "to_param") else each for each in found]


def _as_sent(message: BaseModel) -> Message:
    """Without the fields in which an answer keeps what didn't fit: a strict upstream would refuse them."""
    if not message.model_extra:
        return message
    kept = {name for name in message.model_extra if name.startswith("raw_")}
    return message.model_dump(exclude=kept, exclude_none=True) if kept else message
