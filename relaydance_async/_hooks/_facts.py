"""What observers read off results and exceptions."""

from __future__ import annotations

import anyio

from ..models.chat import ChatCompletionChunk


def says_something(chunk: object) -> bool:
    """Whether a chunk has text, reasoning or a part of a tool call; most first ones have a role only."""
    if not isinstance(chunk, ChatCompletionChunk):
        return True
    deltas = [choice.delta for choice in chunk.choices]
    return any(
        delta.content or delta.reasoning_content or delta.reasoning or delta.refusal or delta.tool_calls
        for delta in deltas
    )


def is_cancellation(error: BaseException) -> bool:
    """Whether it is one of the running event loop's."""
    try:
        return isinstance(error, anyio.get_cancelled_exc_class())
    except Exception:  # no loop runs any more
        return type(error).__name__ in ("CancelledError", "Cancelled")
