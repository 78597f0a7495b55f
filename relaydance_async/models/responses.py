"""Responses: OpenAI's shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ._base import WireModel
from ._options import CallOptions


class ResponseContent(WireModel):
    """A part of a message."""

    type: str | None = None
    text: str | None = None


class ResponseItem(WireModel):
    """What a model gave: a message, a call of a tool, reasoning; `type` says which."""

    type: str | None = None
    id: str | None = None
    role: str | None = None
    content: list[ResponseContent] | None = None
    name: str | None = None
    arguments: str | None = None
    call_id: str | None = None


class ResponseUsage(WireModel):
    """Tokens used."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None


class Response(WireModel):
    """The answer of `responses.create`."""

    id: str | None = None
    object: str | None = None
    created_at: float | None = None
    model: str | None = None
    status: str | None = None
    output: list[ResponseItem]
    error: dict[str, Any] | None = None
    incomplete_details: dict[str, Any] | None = None
    usage: ResponseUsage | None = None

    @property
    def output_text(self) -> str:
        """The text of all messages."""
        parts = [part for item in self.output for part in item.content or ()]
        return "".join(part.text or "" for part in parts if part.type == "output_text")


class ResponseEvent(WireModel):
    """An event of a streamed response; `type` says which, such as "response.output_text.delta"."""

    type: str
    delta: Any = None
    response: Response | None = None


class ResponseParams(CallOptions, total=False):
    """What `responses.create` takes beside `model` and `input` (OpenAI's names)."""

    background: bool | None
    include: Sequence[str] | None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    metadata: Mapping[str, str] | None
    parallel_tool_calls: bool | None
    previous_response_id: str | None
    reasoning: Mapping[str, Any] | None
    service_tier: str | None
    store: bool | None
    temperature: float | None
    text: Mapping[str, Any] | None
    tool_choice: str | Mapping[str, Any] | None
    tools: Sequence[Mapping[str, Any]] | None
    top_logprobs: int | None
    top_p: float | None
    truncation: str | None
    user: str | None
