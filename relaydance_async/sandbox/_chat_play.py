"""A scripted reply on its way to an answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ._chat_script import ChatReply, Raw
from ._chat_stream import DONE, EVENT_STREAM
from ._exchange import Answer, Event
from ._fault_answers import build_error_event
from ._json import Json, dump
from ._reply import Reply


def build_scripted(scripted: ChatReply, usual: Reply, body: Json) -> Reply:
    """`usual`, with what the script says instead."""
    tool_calls = [_tool_call(number, call) for number, call in enumerate(scripted.tool_calls, 1)]
    parts = None if scripted.text is None or isinstance(scripted.text, str) else list(scripted.text)
    text = scripted.text if isinstance(scripted.text, str) else ""
    if not text and scripted.pieces is not None and not isinstance(scripted.pieces, int):
        text = "".join(scripted.pieces)
    finish_reason = scripted.finish_reason
    if finish_reason is None:
        finish_reason = "tool_calls" if tool_calls else "stop"
    return replace(
        usual,
        text=text,
        reasoning=scripted.reasoning,
        tool_calls=tool_calls,
        finish_reason=finish_reason or None,
        usage=dict(scripted.usage) if scripted.usage is not None else _usage(usual, text, tool_calls),
        refusal=scripted.refusal,
        message={**({} if parts is None else {"content": parts}), **scripted.message},
        pieces=scripted.pieces,
    )


def _tool_call(number: int, call: Mapping[str, Any]) -> Json:
    arguments = call.get("arguments", {})
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    function = {"name": call.get("name"), "arguments": text}
    return {"id": call.get("id", f"call_sandbox_{number}"), "type": "function", "function": function}


def _usage(usual: Reply, text: str, tool_calls: list[Json]) -> Json:
    prompt = int(usual.usage["prompt_tokens"])
    completion = usual.choices * (len(text.split()) + 10 * len(tool_calls)) or 1
    return usual.usage | {"completion_tokens": completion, "total_tokens": prompt + completion}


def build_raw(scripted: ChatReply, raw: Raw) -> Answer:
    """The very body, or the very events."""
    if isinstance(raw, bytes):
        return Answer(200, raw)
    if isinstance(raw, str):
        return Answer(200, raw.encode())
    if isinstance(raw, Mapping):
        return Answer(200, dump(raw))
    frames: list[Event] = [_frame(event) for event in raw]
    if scripted.done:
        frames.append(DONE)
    return Answer(200, content_type=EVENT_STREAM, events=play(scripted, frames))


def _frame(event: Mapping[str, Any] | str | bytes) -> bytes:
    if isinstance(event, bytes):
        return event
    return b"data: " + (event.encode() if isinstance(event, str) else dump(event)) + b"\n\n"


def play(scripted: ChatReply, events: Iterable[Event]) -> Iterator[Event]:
    """`events` at the script's pace, up to the error that it ends in, if any."""
    sent = 0
    for event in events:
        # Comments and silences are no events.
        counts = isinstance(event, bytes) and not event.startswith(b":")
        if counts and sent == scripted.error_after:
            yield build_error_event(scripted.as_fault())
            return
        if event == DONE and not scripted.done:
            return
        if counts and scripted.delay:
            yield scripted.delay
        yield event
        sent += counts
