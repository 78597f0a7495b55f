"""An answer of chat before it is written, whole or as a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ._json import Json, is_whole


@dataclass(frozen=True)
class Reply:
    """What the fake model says, before it takes a shape."""

    completion_id: str
    model: str
    created: int
    text: str
    reasoning: str
    tool_calls: list[Json]
    finish_reason: str | None
    usage: Json
    choices: int
    refusal: str | None = None
    message: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Laid over the message, or over the first delta."""
    pieces: int | Sequence[str] | None = None
    """How the text is cut in a stream; None for words."""

    @property
    def units(self) -> int:
        """The tokens to pay for; those of an odd usage are counted by the parts."""
        total = self.usage.get("total_tokens")
        return total if total is not None and is_whole(total) and total >= 0 else max(1, len(self.text.split()))
