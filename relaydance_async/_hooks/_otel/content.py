"""Prompts and answers in the form of the conventions, as JSON. Bytes of pictures and sounds are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import from_json, to_json

from ...models.chat import ChatCompletion, ChatMessage
from . import names

Json = dict[str, Any]


def asked(body: Mapping[str, Any]) -> dict[str, str]:
    """The messages, or the prompt, and the tools of a request."""
    messages: object = body.get("messages")
    found: dict[str, str] = {}
    if chat := _objects(messages):
        found[names.INPUT_MESSAGES] = _text([_message(one) for one in chat])
    elif isinstance(prompt := body.get("prompt"), str):
        found[names.INPUT_MESSAGES] = _text([{"role": "user", "parts": [_said(prompt)]}])
    elif isinstance(text := body.get("input"), str):
        found[names.INPUT_MESSAGES] = _text([{"role": "user", "parts": [_said(text)]}])
    elif given := _objects(body.get("input")):
        found[names.INPUT_MESSAGES] = _text([_message(one) for one in given])
    if isinstance(instructions := body.get("instructions"), str):
        found[names.SYSTEM_INSTRUCTIONS] = _text([_said(instructions)])
    if tools := _objects(body.get("tools")):
        found[names.TOOL_DEFINITIONS] = _text(tools)
    return found


def answered(result: object) -> dict[str, str]:
    """The messages of a completion."""
    if not isinstance(result, ChatCompletion):
        return {}
    messages = [
        {**_message(_plain(choice.message)), "finish_reason": choice.finish_reason or "error"}
        for choice in result.choices
    ]
    return {names.OUTPUT_MESSAGES: _text(messages)}


def _plain(message: ChatMessage) -> Json:
    plain: Json = {"role": "assistant", **message.model_dump(exclude_none=True)}
    return plain


def _message(message: Json) -> Json:
    parts: list[Json] = []
    if message.get("role") == "tool":
        parts.append(
            {"type": "tool_call_response", "id": message.get("tool_call_id"), "response": message.get("content")}
        )
    else:
        reasoning = message.get("reasoning_content") or message.get("reasoning")
        if isinstance(reasoning, str):
            parts.append({"type": "reasoning", "content": reasoning})
        parts += _parts(message.get("content"))
        parts += [_tool_call(call) for call in _objects(message.get("tool_calls"))]
    return {"role": message.get("role"), "parts": parts}


def _parts(content: object) -> list[Json]:
    if isinstance(content, str):
        return [_said(content)]
    return [_part(part) for part in _objects(content)]


def _part(part: Json) -> Json:
    if isinstance(text := part.get("text"), str):
        return _said(text)
    kind = str(part.get("type")).removeprefix("input_")
    modality = kind.partition("_")[0]
    source = part.get(kind)
    url = source.get("url") if isinstance(source, dict) else source  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if isinstance(url, str) and not url.startswith("data:"):
        return {"type": "uri", "modality": modality, "uri": url.partition("?")[0]}
    return {"type": "blob", "modality": modality}


def _tool_call(call: Json) -> Json:
    function = call.get("function")
    of: Json = function if isinstance(function, dict) else {}  # pyright: ignore[reportUnknownVariableType]
    return {"type": "tool_call", "id": call.get("id"), "name": of.get("name"), "arguments": _read(of.get("arguments"))}


def _read(arguments: object) -> object:
    try:
        return from_json(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        return arguments


def _said(text: str) -> Json:
    return {"type": "text", "content": text}


def _objects(values: object) -> list[Json]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []  # pyright: ignore[reportUnknownVariableType]


def _text(value: Sequence[Json]) -> str:
    return to_json(value, serialize_unknown=True).decode()
