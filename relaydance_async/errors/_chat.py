"""Chat models answered, and it is paid for, but it isn't what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._base import RelayDanceError

if TYPE_CHECKING:
    from ..models.chat import ChatCompletion


class ParseError(RelayDanceError):
    """A chat's answer could not be made into what was asked for. It is paid for, and kept here.

    Attributes:
        text: of the choice that doesn't fit.
        completion: the whole answer.
        completions: all answers that were paid for, the last one included: `validate_retries` may have asked for more.
        problems: what is wrong, in sentences.
    """

    _hint = "The answer is in `text` and `completion`; to ask again costs again (validate_retries=)"

    def __init__(
        self,
        message: str = "",
        *,
        text: str = "",
        completion: ChatCompletion | None = None,
        completions: tuple[ChatCompletion, ...] = (),
        problems: tuple[str, ...] = (),
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.text = text
        self.completion = completion
        self.completions = completions
        self.problems = problems

    @property
    def hint(self) -> str:
        """What to do about it. That it was accepted is no doubt here."""
        return self._hint


class LengthFinishReasonError(ParseError):
    """The answer was cut off at `max_tokens`, or at what the model can write (OpenAI's name)."""

    _hint = "Raise max_tokens, or ask for less; what came is in `text` and `completion`"


class ContentFilterFinishReasonError(ParseError):
    """A content filter cut the answer off (OpenAI's name)."""

    _hint = "Change the prompt; what came is in `text` and `completion`"


class ToolRunError(RelayDanceError):
    """A model still called tools in the last turn that was allowed. `history` has what was paid for.

    Attributes:
        completion: the last answer.
    """

    _hint = "Raise max_turns, or go on with `history` as messages"

    def __init__(self, message: str = "", *, completion: ChatCompletion | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.completion = completion

    @property
    def hint(self) -> str:
        """What to do about it. That it was accepted is no doubt here."""
        return self._hint
