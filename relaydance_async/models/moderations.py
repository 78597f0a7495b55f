"""Moderations: OpenAI's shapes."""

from __future__ import annotations

from ._base import WireModel
from ._options import CallOptions


class Moderation(WireModel):
    """What was found in one input."""

    flagged: bool
    categories: dict[str, bool | None] | None = None
    category_scores: dict[str, float | None] | None = None


class ModerationsResponse(WireModel):
    """The answer of `moderations.create`."""

    id: str | None = None
    model: str | None = None
    results: list[Moderation]


class ModerationParams(CallOptions, total=False):
    """What `moderations.create` takes beside `input` (OpenAI's names)."""

    model: str | None
