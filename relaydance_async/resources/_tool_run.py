"""A chat that calls tools until it has its answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

import anyio

from .._callbacks import call_back
from ..errors import InvalidInputError, RelayDanceError, ToolRunError, maybe_accepted
from ..models.chat import ChatCompletion
from ..models.parsed import ParsedChatCompletion
from ..models.tools import ToolCompleted, ToolRun, ToolRunEvent, ToolStarted, TurnCompleted, TurnStarted
from ._messages import as_plain
from ._tool import Tool

log = logging.getLogger("relaydance_async")

T = TypeVar("T")

Ask: TypeAlias = Callable[[list[Any], int], Awaitable[ParsedChatCompletion[T]]]
"""Asks with these messages; the number is 0 for the first turn."""
ToolHook: TypeAlias = Callable[[Any], Awaitable[None] | None]
"""Called with each `ToolRunEvent`, and with the `ChatEvent`s of a streamed run. A coroutine function is awaited."""


class ToolLoop(Generic[T]):
    """One run.

    Args:
        ask: asks the model.
        history: the messages that it begins with.
        tools: by their names.
        max_turns: requests at most.
        max_parallel: tools that run at once.
        on_event: is told of each step.
    """

    def __init__(
        self,
        ask: Ask[T],
        history: Sequence[Mapping[str, Any]],
        tools: Mapping[str, Tool[..., Any]],
        *,
        max_turns: int,
        max_parallel: int,
        on_event: ToolHook | None,
    ) -> None:
        self._ask = ask
        self._history = list(history)
        self._tools = tools
        self._max_turns = max_turns
        self._parallel = anyio.CapacityLimiter(max_parallel)
        self._on_event = on_event
        self._completions: list[ChatCompletion] = []

    async def run(self) -> ToolRun[T]:
        """Ask and call until an answer calls no tool. Calls that the last message still waits for are made first."""
        try:
            await self._call_all(_calls_in(self._history[-1]))
            while True:
                completion = await self._turn()
                if not (calls := _calls_in(self._history[-1])):
                    return ToolRun(completion, tuple(self._history), tuple(self._completions))
                if len(self._completions) >= self._max_turns:
                    raise _out_of_turns(self._max_turns, completion)
                await self._call_all(calls)
        except BaseException as error:
            if self._completions:
                _give_history(error, tuple(self._history))
            raise

    async def _turn(self) -> ParsedChatCompletion[T]:
        number = len(self._completions)
        await self.tell(TurnStarted(number + 1))
        completion = await self._ask(list(self._history), number)
        self._completions.append(completion)
        if not completion.choices:
            raise ToolRunError("the answer has no choice", completion=completion, maybe_accepted=True)
        self._history.append(_completed(as_plain(completion.choices[0].message), number + 1))
        await self.tell(TurnCompleted(number + 1, completion))
        return completion

    async def _call_all(self, calls: list[Mapping[str, Any]]) -> None:
        """Call them at once. The model is told of all, in their order.

        Raises:
            Exception: of a tool that may have left something that is paid for: the model could order it again.
            BaseException: of a tool, if it is no `Exception`.
        """
        done: list[ToolCompleted | None] = [None for _ in calls]

        async def call(number: int) -> None:
            async with self._parallel:
                done[number] = await self._call(calls[number])

        try:
            async with anyio.create_task_group() as group:
                for number in range(len(calls)):
                    group.start_soon(call, number)
        except BaseExceptionGroup as raised:
            raise _alone(raised) from None
        for one in filter(None, done):
            self._history.append({"role": "tool", "tool_call_id": one.id, "content": one.content})
        for one in filter(None, done):
            if one.error is not None and maybe_accepted(one.error):
                raise one.error

    async def _call(self, call: Mapping[str, Any]) -> ToolCompleted:
        name, arguments = call["function"].get("name") or "", call["function"].get("arguments") or ""
        await self.tell(ToolStarted(call["id"], name, arguments))
        began = time.monotonic()
        error: Exception | None = None
        try:
            content = await self._tool(name).run(arguments)
        except Exception as failure:
            error, content = failure, _told(failure)
        except asyncio.CancelledError as cancelled:
            error = _own_cancellation(cancelled)
            content = _told(error)
        completed = ToolCompleted(call["id"], name, _sendable(content), error, time.monotonic() - began)
        await self.tell(completed)
        return completed

    def _tool(self, name: str) -> Tool[..., Any]:
        if name not in self._tools:
            raise InvalidInputError(f"there is no tool {name!r}; there are {', '.join(self._tools)}")
        return self._tools[name]

    async def tell(self, event: ToolRunEvent) -> None:
        """Tell the hook, which must not cost the run."""
        await tell(self._on_event, event)


async def tell(hook: ToolHook | None, event: object) -> None:
    """Call the hook. What it raises is logged: the answers are paid for."""
    if hook is not None:
        await call_back(hook, event, lambda: log.exception("on_event raised; the run goes on"))


def by_name(tools: Sequence[Tool[..., Any]]) -> dict[str, Tool[..., Any]]:
    """The tools by their names.

    Raises:
        InvalidInputError: there are none, or two of one name.
    """
    found = {each.name: each for each in tools}
    if not found:
        raise InvalidInputError("tools must not be empty")
    if len(found) < len(tools):
        raise InvalidInputError("two tools have the same name: pass tool(function, name=…)")
    return found


def require_count(value: object, name: str) -> int:
    """A whole number of 1 or more.

    Raises:
        InvalidInputError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidInputError(f"{name} must be a whole number of 1 or more, not {value!r}")
    return value


def _calls_in(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [call for call in message.get("tool_calls") or () if isinstance(call.get("function"), Mapping)]


def _completed(message: dict[str, Any], turn: int) -> dict[str, Any]:
    """Some upstreams leave out the role, and the ids of calls, and then miss them in the history."""
    for number, call in enumerate(message.get("tool_calls") or ()):
        call["id"] = call.get("id") or f"call_{turn}_{number}"
        call["type"] = call.get("type") or "function"
    return {"role": "assistant", **message}


def _own_cancellation(cancelled: asyncio.CancelledError) -> RuntimeError:
    """What it means that something was cancelled within a tool. Left alone it would leave the call without a result,
    and the model would ask for it in each turn.

    Raises:
        CancelledError: it is the run that is cancelled.
    """
    task = asyncio.current_task()
    if task is None or task.cancelling():
        raise cancelled
    error = RuntimeError("the tool was cancelled")
    error.__cause__ = cancelled  # which may know of something that is paid for
    return error


def _alone(raised: BaseExceptionGroup[BaseException]) -> BaseException:
    """What ended the tools, out of the group that they ran in, if it is one."""
    return raised.exceptions[0] if len(raised.exceptions) == 1 else raised


def _told(error: Exception) -> str:
    """What the model is told: no traceback, which may show what is secret."""
    if isinstance(error, InvalidInputError):
        return f"Error: {error.message}"
    return f"Error: {type(error).__name__}: {error.message if isinstance(error, RelayDanceError) else _text(error)}"


def _text(error: Exception) -> str:
    try:
        return str(error)
    except Exception:  # a caller's own class
        return "it can't be shown"


def _sendable(content: str) -> str:
    """Half of a surrogate pair can't be sent: such as in the name of a file that is not UTF-8."""
    return content if content.isascii() else content.encode("utf-8", "replace").decode("utf-8")


def _out_of_turns(turns: int, completion: ChatCompletion) -> ToolRunError:
    message = f"the model still calls tools in turn {turns}, the last that max_turns allows; those were not called"
    return ToolRunError(message, completion=completion, maybe_accepted=True, meta=completion.meta)


def _give_history(error: BaseException, history: tuple[Mapping[str, Any], ...]) -> None:
    # Of a cancellation too: it has no such attribute of its own.
    setattr(error, "history", history)  # noqa: B010
