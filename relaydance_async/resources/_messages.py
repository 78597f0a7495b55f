"""The messages and tools of a chat, as they are sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, TypeVar, cast

from pydantic import BaseModel

from .._sansio.request import as_jsonable
from ..errors import InvalidInputError

T = TypeVar("T")

Message: TypeAlias = Mapping[str, Any] | BaseModel
"""As OpenAI's; the message of an earlier answer can be passed back as it is."""

_PLAIN = frozenset((dict,))
_NO_LISTS = (str, bytes, bytearray, memoryview, Mapping)
_EXAMPLE = "[{'role': 'user', 'content': 'Hi'}]"


def as_messages(messages: Iterable[Message]) -> list[Message]:
    """A list of them.

    Raises:
        InvalidInputError: there is none, it is no list, or something in it is no message.
    """
    if not isinstance(messages, list) and not _is_listed(messages):
        raise InvalidInputError(f"messages must be a list of messages, such as {_EXAMPLE}, not {_kind(messages)}")
    result = [_sendable(message, number) for number, message in enumerate(messages)]
    if not result:
        raise InvalidInputError("messages must not be empty")
    return result


def _is_listed(value: object) -> bool:
    # A model of pydantic can be gone through too: its fields.
    return isinstance(value, Iterable) and not isinstance(value, (*_NO_LISTS, BaseModel))


def _sendable(message: Any, number: int) -> Message:
    if isinstance(message, BaseModel):
        return _as_sent(message)
    if type(message) not in _PLAIN and not isinstance(message, Mapping):  # which takes five times as long
        raise InvalidInputError(f"messages[{number}] must be a message, such as {_EXAMPLE[1:-1]}, not {_kind(message)}")
    role: object = message.get("role")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if not isinstance(role, str) or not role:
        raise InvalidInputError(f"messages[{number}] must have a role, such as 'user'")
    sent: Message = message  # pyright: ignore[reportUnknownVariableType]
    return sent


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__


def as_plain(message: Message) -> dict[str, Any]:
    """A message as it is sent, as plain data, independent of the caller's.

    Raises:
        InvalidInputError: it can't be sent.
    """
    sent: dict[str, Any] = as_jsonable(_as_sent(message) if isinstance(message, BaseModel) else message)
    return sent


def as_history(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Messages that a run goes on from. Calls that the last of them still waits for are made: so they must be calls.

    Raises:
        InvalidInputError: as `as_messages`, or such a call has no id or no function.
    """
    history = [as_plain(message) for message in as_messages(messages)]
    calls: Any = history[-1].get("tool_calls") or []
    if not isinstance(calls, list) or not all(map(_is_call, calls)):  # pyright: ignore[reportUnknownArgumentType]
        raise InvalidInputError("the tool_calls of the last message must be a list of calls, each with id and function")
    return history


def _is_call(call: Any) -> bool:
    return isinstance(call, dict) and isinstance(call.get("id"), str) and isinstance(call.get("function"), dict)  # pyright: ignore[reportUnknownMemberType]


def as_tool_params(tools: Any) -> Any:
    """Those that were made by `tool` as the API takes them; all others as they are."""
    if not _is_listed(tools):
        return cast(object, tools)
    found = cast("Iterable[Any]", tools)
    return [each.to_param() if hasattr(each, "to_param") else each for each in found]


def as_tools(tools: Iterable[T]) -> list[T]:
    """A list of them.

    Raises:
        InvalidInputError: it is none.
    """
    if not _is_listed(tools):
        raise InvalidInputError(f"tools must be a list of functions, not {_kind(tools)}")
    return list(tools)


def _as_sent(message: BaseModel) -> Message:
    """Without the fields in which an answer keeps what didn't fit: a strict upstream would refuse them."""
    if not message.model_extra:
        return message
    kept = {name for name in message.model_extra if name.startswith("raw_")}
    return message.model_dump(exclude=kept, exclude_none=True) if kept else message
