"""Chat completions: OpenAI's shapes, under OpenAI's attribute paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ._base import WireModel
from ._options import CallOptions


class FunctionCall(WireModel):
    """A function to call: its `name`, and its `arguments` as JSON text."""

    name: str | None = None
    arguments: str = ""


class ToolCall(WireModel):
    """A tool that the model wants called."""

    id: str | None = None
    type: str | None = None
    function: FunctionCall | None = None


class ChatMessage(WireModel):
    """An answer. Reasoning text comes as `reasoning_content` or `reasoning`, depending on the upstream.

    Attributes:
        role: "assistant".
        content: the text; None when the model called tools or refused.
        refusal: why the model refused; else None.
        reasoning_content: what the model thought, where the upstream tells.
        reasoning: the same, under the other name.
        tool_calls: the tools that the model asks for.
    """

    role: str | None = None
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[ToolCall] | None = None


class Choice(WireModel):
    """One of the answers of a completion."""

    index: int = 0
    message: ChatMessage
    finish_reason: str | None = None


class Usage(WireModel):
    """Tokens used, which is what chat is billed by. None: nobody told.

    Attributes:
        prompt_tokens: of the request.
        completion_tokens: of the answer, reasoning included.
        total_tokens: of both.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None


class ChatCompletion(WireModel):
    """The answer of `chat.completions.create`. Fields that OpenAI has besides are kept in `model_extra`.

    Attributes:
        id: of the completion; RelayDance's support asks for `meta.request_id` instead.
        object: "chat.completion".
        created: when, in seconds since 1970.
        model: that answered, as the upstream calls it.
        choices: the answers: one, unless `n` was more.
        usage: the tokens; None when the upstream doesn't tell.
    """

    id: str | None = None
    object: str | None = None
    created: int | None = None
    model: str | None = None
    choices: list[Choice]
    usage: Usage | None = None


class ToolLike(Protocol):
    """A function that a model may call: see `tool`."""

    def to_param(self) -> Mapping[str, Any]:
        """As the API takes it."""
        ...


class ToolCallDelta(WireModel):
    """A piece of a tool call; pieces of the same `index` belong together."""

    index: int = 0
    id: str | None = None
    type: str | None = None
    function: FunctionCallDelta | None = None


class FunctionCallDelta(WireModel):
    """A piece of a function call."""

    name: str | None = None
    arguments: str | None = None


class ChoiceDelta(WireModel):
    """What a chunk adds to a choice."""

    role: str | None = None
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[ToolCallDelta] | None = None


class ChunkChoice(WireModel):
    """One choice's part of a chunk."""

    index: int = 0
    delta: ChoiceDelta
    finish_reason: str | None = None


class ChatCompletionChunk(WireModel):
    """One event of a streamed completion. The last one has no choices and carries `usage`.

    Attributes:
        id: of the completion, the same in all of its chunks.
        object: "chat.completion.chunk".
        created: when, in seconds since 1970.
        model: that answers, as the upstream calls it.
        choices: what is new of each answer, in `delta`.
        usage: the tokens; None before the last chunk.
    """

    id: str | None = None
    object: str | None = None
    created: int | None = None
    model: str | None = None
    choices: list[ChunkChoice]
    usage: Usage | None = None

    def text(self) -> str:
        """What this chunk adds to the first choice's text; "" when it adds none."""
        return "".join(choice.delta.content or "" for choice in self.choices if choice.index == 0)


class PlainChatParams(CallOptions, total=False):
    """What all ways to ask a chat model take beside `model` and `messages` (OpenAI's names)."""

    audio: Mapping[str, Any] | None
    frequency_penalty: float | None
    function_call: str | Mapping[str, Any] | None
    functions: Sequence[Mapping[str, Any]] | None
    logit_bias: Mapping[str, int] | None
    logprobs: bool | None
    max_completion_tokens: int | None
    max_tokens: int | None
    metadata: Mapping[str, str] | None
    modalities: Sequence[str] | None
    n: int | None
    parallel_tool_calls: bool | None
    prediction: Mapping[str, Any] | None
    presence_penalty: float | None
    prompt_cache_key: str | None
    reasoning_effort: str | None
    safety_identifier: str | None
    seed: int | None
    service_tier: str | None
    stop: str | Sequence[str] | None
    store: bool | None
    stream_options: Mapping[str, Any] | None
    temperature: float | None
    tool_choice: str | Mapping[str, Any] | None
    top_logprobs: int | None
    top_p: float | None
    user: str | None
    verbosity: str | None
    web_search_options: Mapping[str, Any] | None


class ChatParams(PlainChatParams, total=False):
    """What `chat.completions.create` takes beside `model` and `messages`."""

    response_format: Mapping[str, Any] | None
    tools: Sequence[Mapping[str, Any] | ToolLike] | None
