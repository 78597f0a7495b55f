"""A stream that had begun did not come to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._base import RelayDanceError

if TYPE_CHECKING:
    from ..models.chat import ChatCompletion


class StreamError(RelayDanceError):
    """The stream reported an error, or broke, after it had begun.

    Attributes:
        text: the answer's text so far (first choice).
        completion: all that had come: text, reasoning, tool calls, usage. None when nothing had.
    """

    _hint = "Ask again; what had arrived is in `text` and `completion`"

    def __init__(
        self, message: str = "", *, text: str = "", completion: ChatCompletion | None = None, **details: Any
    ) -> None:
        super().__init__(message, **details)
        self.text = text
        self.completion = completion

    @property
    def hint(self) -> str:
        """What to do about it. No retry policy helps: a stream that has begun is never repeated."""
        return f"{self._hint}. What came may be billed all the same" if self.maybe_accepted else self._hint


class IncompleteStreamError(StreamError):
    """The stream ended although a choice never got a `finish_reason`: the answer is cut off."""
