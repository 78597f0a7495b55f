"""What happens in a run of tools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from .chat import ChatCompletion, Usage
from .parsed import ParsedChatCompletion

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The model is asked.

    Attributes:
        turn: its number, from 1. Each turn is a request, and paid for.
    """

    turn: int
    type: Literal["turn.started"] = "turn.started"


@dataclass(frozen=True, slots=True)
class TurnCompleted:
    """The model has answered.

    Attributes:
        turn: its number, from 1.
        completion: the answer.
    """

    turn: int
    completion: ChatCompletion
    type: Literal["turn.completed"] = "turn.completed"


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A tool is called.

    Attributes:
        id: of the call.
        name: of the tool, as the model wrote it.
        arguments: the JSON text, as the model wrote it.
    """

    id: str
    name: str
    arguments: str
    type: Literal["tool.started"] = "tool.started"


@dataclass(frozen=True, slots=True)
class ToolCompleted:
    """A tool has given its result, or failed.

    Attributes:
        id, name: of the call.
        content: what the model is told.
        error: what the tool raised, or None. Also what is wrong with the arguments, or an unknown name.
        seconds: that it took.
    """

    id: str
    name: str
    content: str
    error: Exception | None
    seconds: float
    type: Literal["tool.completed"] = "tool.completed"


ToolRunEvent: TypeAlias = TurnStarted | TurnCompleted | ToolStarted | ToolCompleted


@dataclass(frozen=True, slots=True)
class ToolRun(Generic[T]):
    """The end of a run of tools.

    Attributes:
        completion: the last answer, which calls no tool.
        messages: the whole conversation, that answer included: pass them on, with a further question.
        completions: all answers; each was paid for.
    """

    completion: ParsedChatCompletion[T]
    messages: tuple[Mapping[str, Any], ...]
    completions: tuple[ChatCompletion, ...]

    @property
    def text(self) -> str:
        """Of the last answer."""
        return self.completion.choices[0].message.content or ""

    @property
    def parsed(self) -> T | None:
        """With a `response_format`: the value of the last answer; None when the model refused."""
        return self.completion.choices[0].message.parsed

    @property
    def usage(self) -> Usage:
        """The tokens of all answers, as far as they were told."""
        told = [completion.usage for completion in self.completions if completion.usage is not None]
        return Usage(
            prompt_tokens=sum(usage.prompt_tokens or 0 for usage in told),
            completion_tokens=sum(usage.completion_tokens or 0 for usage in told),
            total_tokens=sum(usage.total_tokens or 0 for usage in told),
        )
