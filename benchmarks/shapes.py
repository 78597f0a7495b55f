"""A completion's shape for the peers that bring none: the same fields as ours, unknown ones kept."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    model_config = ConfigDict(extra="allow")


class Message(Shape):
    role: str | None = None
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[dict[str, object]] | None = None


class Choice(Shape):
    index: int = 0
    message: Message
    finish_reason: str | None = None


class Usage(Shape):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None


class Completion(Shape):
    id: str | None = None
    object: str | None = None
    created: int | None = None
    model: str | None = None
    choices: list[Choice]
    usage: Usage | None = None


class ChunkChoice(Shape):
    index: int = 0
    delta: Message
    finish_reason: str | None = None


class Chunk(Shape):
    id: str | None = None
    object: str | None = None
    created: int | None = None
    model: str | None = None
    choices: list[ChunkChoice]
    usage: Usage | None = None
