"""The ways to ask a chat model that stand on `create`: for a type, for events, with tools."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, TypeAlias, cast

from .._sansio.response_format import ResponseFormat, format_of
from ..errors import InvalidInputError
from ..models.chat import ChatCompletion
from ..models.parsed import ParsedChatCompletion
from ..models.tools import ToolRun
from ._chat_events import ChatEventStream
from ._chat_parse import Ask, ask_until_valid, check_retries, key_of, parse_completion
from ._messages import Message, as_history, as_messages, as_tool_params, as_tools
from ._tool import Tool, as_tool
from ._tool_run import ToolHook, ToolLoop, by_name, require_count, tell

Create: TypeAlias = Callable[..., Coroutine[Any, Any, Any]]
"""`Completions.create`."""


def begin_parse(
    create: Create,
    model: str,
    messages: Iterable[Message],
    tools: object,
    params: Mapping[str, Any],
    response_format: object,
    validate_retries: object,
    strict: bool,
) -> Coroutine[Any, Any, ParsedChatCompletion[Any]]:
    """See `Completions.parse`."""
    retries = check_retries(validate_retries)
    wanted = format_of(response_format, strict=strict)
    ask = _asking(create, model, as_tool_params(tools), params, wanted.to_param())
    sent = as_messages(messages)
    return ask_until_valid(ask(sent, 0), ask, sent, wanted, retries)


def begin_stream(
    create: Create,
    model: str,
    messages: Iterable[Message],
    tools: object,
    params: Mapping[str, Any],
    response_format: object,
    strict: bool,
) -> ChatEventStream[Any]:
    """See `Completions.stream`."""
    wanted, format = _format_of(response_format, strict=strict)
    given = {**params, "response_format": format, "tools": as_tool_params(tools)}
    return ChatEventStream(create(model=model, messages=messages, stream=True, **given), wanted)


def begin_run(
    create: Create,
    model: str,
    messages: Iterable[Message],
    tools: Iterable[Tool[..., Any] | Callable[..., Any]],
    params: Mapping[str, Any],
    response_format: object,
    *,
    stream: bool,
    max_turns: object,
    max_parallel: object,
    on_event: ToolHook | None,
) -> Coroutine[Any, Any, ToolRun[Any]]:
    """See `Chat.run_tools`."""
    if (params.get("n") or 1) != 1:
        raise InvalidInputError("run_tools follows one answer: leave n out")
    turns, parallel = require_count(max_turns, "max_turns"), require_count(max_parallel, "max_parallel")
    found = by_name([as_tool(each) for each in as_tools(tools)])
    wanted, format = _format_of(response_format, strict=True)
    ask = _asking(create, model, [each.to_param() for each in found.values()], params, format, stream=stream)

    async def turn(history: list[Message], number: int) -> ParsedChatCompletion[Any]:
        if not stream:
            return parse_completion(await ask(history, number), wanted)
        async with ChatEventStream(cast(Any, ask(history, number)), wanted) as events:
            async for event in events:
                await tell(on_event, event)
            return await events.get_final_completion()

    history = as_history(messages)
    return ToolLoop(turn, history, found, max_turns=turns, max_parallel=parallel, on_event=on_event).run()


def _asking(
    create: Create, model: str, tools: Any, params: Mapping[str, Any], format: object, *, stream: bool = False
) -> Ask:
    key = params.get("idempotency_key")

    def ask(messages: list[Message], number: int) -> Coroutine[Any, Any, ChatCompletion]:
        given = {**params, "response_format": format, "tools": tools, "idempotency_key": key_of(key, number)}
        return create(model=model, messages=messages, stream=stream, **given)

    return ask


def _format_of(wanted: Any, *, strict: bool) -> tuple[ResponseFormat[Any] | None, Mapping[str, Any] | None]:
    """What the text is to be made into, and what says so to the API."""
    if not wanted or isinstance(wanted, Mapping):
        return None, cast("Mapping[str, Any]", wanted) or None
    format = format_of(wanted, strict=strict)
    return format, format.to_param()
