"""An answer of chat before it is written, whole or as a stream."""

from __future__ import annotations

from dataclasses import dataclass

from ._json import Json


@dataclass(frozen=True)
class Reply:
    """What the fake model says, before it takes a shape."""

    completion_id: str
    model: str
    created: int
    text: str
    reasoning: str
    tool_calls: list[Json]
    finish_reason: str
    usage: Json
    choices: int
