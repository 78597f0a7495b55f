"""`POST /chat/completions`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, overload

from .._call import Kept, as_read, as_stream, recalling
from .._sansio.extras import CallExtras
from ..models.chat import ChatCompletion, ChatParams, PlainChatParams, ToolLike
from ._chat_stream import (
    ChatStream,
    come_so_far,
    finish_chat_stream,
    keep_chat_stream,
    open_chat_stream,
    read_completion,
    recall_chat_stream,
)
from ._chat_views import CompletionsRaw, CompletionsStreamed
from ._messages import Message, as_messages, as_tool_params
from ._resource import Resource, made_at_once, names_of, require_text
from ._route import billed_post
from ._signature import show_in_views

if TYPE_CHECKING:  # what stands on `create` is imported where it is used, so that importing the package stays quick
    from pydantic import TypeAdapter

    from ..models.parsed import ParsedChatCompletion
    from ..models.tools import ToolRun
    from ._chat_events import ChatEventStream
    from ._tool import Tool
    from ._tool_run import ToolHook

T = TypeVar("T")

CREATE = billed_post(
    "chat.completions.create",
    "/chat/completions",
    as_read(read_completion, "ChatCompletion", kept=Kept(recalling(ChatCompletion))),
    small=True,
)
_PARAMS = names_of(ChatParams)
_STREAM = as_stream(open_chat_stream, kept=Kept(recall_chat_stream, keep_chat_stream, finish_chat_stream, come_so_far))


class Completions(Resource):
    """OpenAI's chat completions."""

    @property
    def with_raw_response(self) -> CompletionsRaw:
        """The same methods, with the answer itself: its status, headers and bytes beside the result."""
        return CompletionsRaw(Completions(self._api))

    @property
    def with_streaming_response(self) -> CompletionsStreamed:
        """The same methods, each in an `async with`, with the answer as it comes."""
        return CompletionsStreamed(Completions(self._api))

    @overload
    async def create(
        self,
        *,
        model: str,
        messages: Iterable[Message],
        stream: Literal[False] | None = None,
        **params: Unpack[ChatParams],
    ) -> ChatCompletion: ...

    @overload
    async def create(
        self,
        *,
        model: str,
        messages: Iterable[Message],
        stream: Literal[True],
        **params: Unpack[ChatParams],
    ) -> ChatStream: ...

    @overload
    async def create(
        self,
        *,
        model: str,
        messages: Iterable[Message],
        stream: bool,
        **params: Unpack[ChatParams],
    ) -> ChatCompletion | ChatStream: ...

    @made_at_once
    def create(
        self,
        *,
        model: str,
        messages: Iterable[Message],
        stream: bool | None = None,
        **params: Unpack[ChatParams],
    ) -> Coroutine[Any, Any, ChatCompletion | ChatStream]:
        """Ask a chat model. Billed per token.

        Args:
            model: its id.
            messages: as OpenAI's; the message of an earlier answer can be passed back as it is.
            stream: give the answer piece by piece, as a `ChatStream` to be used with `async with`.
            params: `temperature`, `max_tokens`, `tools` and what else OpenAI's method takes; unknown ones through
                `extra_body`.

        Raises:
            TypeError: a keyword that it doesn't take; at once.
            InvalidInputError: before anything is sent.
            APIStatusError: the gateway refused or failed.
            APIConnectionError: no answer; `maybe_accepted` says whether it may be billed.
            StreamError, IncompleteStreamError: the answer was streamed though nobody asked for that, and broke or was
                cut off; `text` and `completion` have what came.

        A deadline covers the call up to the answer, or up to the stream's end. Cancelling after the request was sent
        may leave an answer that is paid for.
        """
        require_text(model, "model")
        arguments, extras = CallExtras.take(params, _PARAMS)
        arguments = {"model": model, "messages": as_messages(messages), "stream": True if stream else None, **arguments}
        if "tools" in arguments:
            arguments["tools"] = as_tool_params(arguments["tools"])
        return self._post(CREATE, arguments, extras, receive=_STREAM if stream else None)

    @overload
    async def parse(
        self,
        *,
        model: str,
        messages: Iterable[Message],
        response_format: type[T] | TypeAdapter[T],
        validate_retries: int = 0,
        strict: bool = True,
        tools: Iterable[Mapping[str, Any] | ToolLike] | None = None,
        **params: Unpack[PlainChatParams],
    ) -> ParsedChatCompletion[T]: ...

    @overload
    async def parse(
        self,
        *,
        model: str,
        messages: Iterable[Message],
        response_format: Any,
        validate_retries: int = 0,
        strict: bool = True,
        tools: Iterable[Mapping[str, Any] | ToolLike] | None = None,
        **params: Unpack[PlainChatParams],
    ) -> ParsedChatCompletion[Any]: ...

    @made_at_once
    def parse(
        self,
        *,
        model: str,
        messages: Iterable[Message],
        response_format: Any,
        validate_retries: int = 0,
        strict: bool = True,
        tools: Iterable[Mapping[str, Any] | ToolLike] | None = None,
        **params: Unpack[PlainChatParams],
    ) -> Coroutine[Any, Any, ParsedChatCompletion[Any]]:
        """Ask for an answer of a certain type: `completion.choices[0].message.parsed`.

        The type's JSON schema is sent, by OpenAI's strict rules: all fields are required, also those with a default.
        A type that is no object is sent in one. If the model refuses, `parsed` is None and `refusal` says why.

        Args:
            model: as of `create`.
            messages: as of `create`.
            tools: as of `create`.
            params: as of `create`.
            response_format: a pydantic model, a TypedDict, a dataclass, an `Annotated`, `list[...]`, a `TypeAdapter`.
            validate_retries: how often to ask again when the answer doesn't fit, telling the model what is wrong. Each
                time is a request of its own, and is paid for. With an idempotency key, theirs end in `/1`, `/2`, …
            strict: False sends the schema as pydantic has it: for models that allow what strict rules don't, such as
                `dict[str, int]`. The answer is checked all the same.

        Raises:
            InvalidInputError: also when the type has no such schema; before anything is sent.
            ParseError: the answer doesn't fit.
            LengthFinishReasonError, ContentFilterFinishReasonError: it was cut off. It is never asked for again.
            TypeError, APIStatusError, APIConnectionError, StreamError: as of `create`.

        All three keep what was paid for: `text`, `completion`, and `completions` of all times. Cancelling it after a
        request was sent may leave an answer that is paid for.
        """
        from ._asking import begin_parse

        return begin_parse(self.create, model, messages, tools, params, response_format, validate_retries, strict)

    @overload
    def stream(
        self,
        *,
        model: str,
        messages: Iterable[Message],
        response_format: type[T] | TypeAdapter[T],
        strict: bool = True,
        tools: Iterable[Mapping[str, Any] | ToolLike] | None = None,
        **params: Unpack[PlainChatParams],
    ) -> ChatEventStream[T]: ...

    @overload
    def stream(
        self,
        *,
        model: str,
        messages: Iterable[Message],
        response_format: Any = None,
        strict: bool = True,
        tools: Iterable[Mapping[str, Any] | ToolLike] | None = None,
        **params: Unpack[PlainChatParams],
    ) -> ChatEventStream[Any]: ...

    def stream(
        self,
        *,
        model: str,
        messages: Iterable[Message],
        response_format: Any = None,
        strict: bool = True,
        tools: Iterable[Mapping[str, Any] | ToolLike] | None = None,
        **params: Unpack[PlainChatParams],
    ) -> ChatEventStream[Any]:
        """Get an answer as events, in openai's style: see `ChatEventStream`. Not to be awaited.

        Args:
            model: as of `create`.
            messages: as of `create`.
            tools: as of `create`.
            params: as of `create`.
            response_format: as of `parse`, or a dict as of `create`.
            strict: as of `parse`.

        Raises:
            TypeError, InvalidInputError: at once, or where it is entered.

        The request is sent where the `async with` begins. Leaving that early, or a cancellation, closes the connection;
        what came until then is paid for.
        """
        from ._asking import begin_stream

        return begin_stream(self.create, model, messages, tools, params, response_format, strict)


show_in_views(Completions, CompletionsRaw, CompletionsStreamed)


class Chat(Resource):
    """Chat: the namespace of `completions`, as OpenAI has it."""

    @cached_property
    def completions(self) -> Completions:
        """OpenAI's chat completions."""
        return Completions(self._api)

    @overload
    async def run_tools(
        self,
        *,
        model: str,
        messages: Iterable[Message],
        tools: Iterable[Tool[..., Any] | Callable[..., Any]],
        response_format: None = None,
        max_turns: int = 10,
        max_parallel: int = 8,
        stream: bool = False,
        on_event: ToolHook | None = None,
        **params: Unpack[PlainChatParams],
    ) -> ToolRun[None]: ...

    @overload
    async def run_tools(
        self,
        *,
        model: str,
        messages: Iterable[Message],
        tools: Iterable[Tool[..., Any] | Callable[..., Any]],
        response_format: type[T] | TypeAdapter[T],
        max_turns: int = 10,
        max_parallel: int = 8,
        stream: bool = False,
        on_event: ToolHook | None = None,
        **params: Unpack[PlainChatParams],
    ) -> ToolRun[T]: ...

    @overload
    async def run_tools(
        self,
        *,
        model: str,
        messages: Iterable[Message],
        tools: Iterable[Tool[..., Any] | Callable[..., Any]],
        response_format: Any,
        max_turns: int = 10,
        max_parallel: int = 8,
        stream: bool = False,
        on_event: ToolHook | None = None,
        **params: Unpack[PlainChatParams],
    ) -> ToolRun[Any]: ...

    @made_at_once
    def run_tools(
        self,
        *,
        model: str,
        messages: Iterable[Message],
        tools: Iterable[Tool[..., Any] | Callable[..., Any]],
        response_format: Any = None,
        max_turns: int = 10,
        max_parallel: int = 8,
        stream: bool = False,
        on_event: ToolHook | None = None,
        **params: Unpack[PlainChatParams],
    ) -> Coroutine[Any, Any, ToolRun[Any]]:
        """Ask a model, call the tools that it asks for, and so on, until it answers without one.

        A tool that raises doesn't end the run: the model is told. One ends it all the same: an error that may have left
        something that is paid for (`maybe_accepted`), for the model could order it again.

        Args:
            model: as of `completions.create`.
            messages: as of `completions.create`.
            params: as of `completions.create`. Each turn is a request of its own, and paid for; with an idempotency
                key, theirs end in `/1`, `/2`, … `timeout` and `deadline` are those of one request.
            tools: functions, or what `tool` made of them. Plain ones are called in threads.
            response_format: as of `completions.parse`: `run.parsed` is the value of the last answer.
            max_turns: requests at most.
            max_parallel: tools that run at once.
            stream: get the answers as streams, whose events `on_event` gets too.
            on_event: called with each step, a `ToolRunEvent`; a coroutine function is awaited. What it raises is
                logged.

        Raises:
            TypeError, InvalidInputError: before anything is sent.
            ToolRunError: the last turn that is allowed still calls tools.
            ParseError: the last answer doesn't fit the format.
            RelayDanceError: of a request.

        Every error that comes after a paid turn has `history`, also a cancellation: the messages so far. With it as
        `messages` the run goes on, and pays for no turn again. A cancellation ends the tools that are async; plain ones
        go on in their threads, and their results are lost.
        """
        from ._asking import begin_run

        return begin_run(
            self.completions.create,
            model,
            messages,
            tools,
            params,
            response_format,
            stream=stream,
            max_turns=max_turns,
            max_parallel=max_parallel,
            on_event=on_event,
        )
