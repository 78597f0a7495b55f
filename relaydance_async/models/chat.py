"""Chat completions: OpenAI's shapes, under OpenAI's attribute paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

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
    """An answer. Reasoning text comes as `reasoning_content` or `reasoning`, depending on the upstream."""

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
    """Tokens used, which is what chat is billed by."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None


class ChatCompletion(WireModel):
    """The answer of `chat.completions.create`."""

    id: str | None = None
    object: str | None = None
    created: int | None = None
    model: str | None = None
    choices: list[Choice]
    usage: Usage | None = None


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
    """One event of a streamed completion. The last one has no choices and carries `usage`."""

    id: str | None = None
    object: str | None = None
    created: int | None = None
    model: str | None = None
    choices: list[ChunkChoice]
    usage: Usage | None = None

    def text(self) -> str:
        """What this chunk adds to the first choice's text; "" when it adds none."""
        return "".join(choice.delta.content or "" for choice in self.choices if choice.index == 0)


class ChatParams(CallOptions, total=False):
    """What `chat.completions.create` takes beside `model` and `messages` (OpenAI's names)."""

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
    response_format: Mapping[str, Any] | None
    safety_identifier: str | None
    seed: int | None
    service_tier: str | None
    stop: str | Sequence[str] | None
    store: bool | None
    stream_options: Mapping[str, Any] | None
    temperature: float | None
    tool_choice: str | Mapping[str, Any] | None
    tools: Sequence[Mapping[str, Any]] | None
    top_logprobs: int | None
    top_p: float | None
    user: str | None
    verbosity: str | None
    web_search_options: Mapping[str, Any] | None


class _ChoiceSoFar:
    """What the chunks of one choice have brought, in pieces."""

    __slots__ = ("content", "finish_reason", "reasoning", "reasoning_content", "refusal", "role", "tool_calls")

    def __init__(self) -> None:
        self.role = "assistant"
        self.content: list[str] = []
        self.refusal: list[str] = []
        self.reasoning_content: list[str] = []
        self.reasoning: list[str] = []
        self.tool_calls: dict[int, dict[str, Any]] = {}
        self.finish_reason: str | None = None

    def add(self, delta: ChoiceDelta) -> None:
        """Take one more piece, in order."""
        if delta.content:
            self.content.append(delta.content)
        if delta.reasoning_content:
            self.reasoning_content.append(delta.reasoning_content)
        if delta.reasoning:
            self.reasoning.append(delta.reasoning)
        if delta.refusal:
            self.refusal.append(delta.refusal)
        if delta.role:
            self.role = delta.role
        for call in delta.tool_calls or ():
            _add_tool_call(self.tool_calls.setdefault(call.index, {"arguments": []}), call)

    def build(self, index: int) -> dict[str, Any]:
        """The choice as far as it has come."""
        message: dict[str, Any] = {"role": self.role}
        for name in ("content", "refusal", "reasoning_content", "reasoning"):
            if pieces := getattr(self, name):
                message[name] = "".join(pieces)
        if self.tool_calls:
            message["tool_calls"] = list(_build_tool_calls(self.tool_calls))
        return {"index": index, "message": message, "finish_reason": self.finish_reason}


class CompletionBuilder:
    """Puts the chunks of a stream together again into the completion that they are pieces of."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._choices: dict[int, _ChoiceSoFar] = {}
        self._usage: Usage | None = None

    def add(self, chunk: ChatCompletionChunk) -> None:
        """Take one more chunk, in order."""
        if not self._head:
            self._head = {"id": chunk.id, "created": chunk.created, "model": chunk.model}
        if chunk.usage is not None:
            self._usage = chunk.usage
        for choice in chunk.choices:
            so_far = self._choices.get(choice.index)
            if so_far is None:
                so_far = self._choices[choice.index] = _ChoiceSoFar()
            so_far.add(choice.delta)
            if choice.finish_reason:
                so_far.finish_reason = choice.finish_reason

    @property
    def text(self) -> str:
        """The first choice's text so far."""
        return "".join(self._choices[0].content) if 0 in self._choices else ""

    @property
    def unfinished(self) -> list[int]:
        """The choices that have no `finish_reason` yet."""
        return [index for index, choice in self._choices.items() if not choice.finish_reason]

    @property
    def empty(self) -> bool:
        """Whether no choice came at all."""
        return not self._choices

    def build(self) -> ChatCompletion:
        """The completion as far as it has come."""
        choices = [self._choices[index].build(index) for index in sorted(self._choices)]
        return ChatCompletion.model_validate(
            {"object": "chat.completion", **self._head, "choices": choices, "usage": self._usage}
        )


def _add_tool_call(state: dict[str, Any], call: ToolCallDelta) -> None:
    if call.id:
        state["id"] = call.id
    if call.type:
        state["type"] = call.type
    if call.function is not None:
        if call.function.name:
            state["name"] = call.function.name
        state["arguments"].append(call.function.arguments or "")


def _build_tool_calls(calls: dict[int, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for index in sorted(calls):
        call = calls[index]
        function = {"name": call.get("name"), "arguments": "".join(call["arguments"])}
        yield {"id": call.get("id"), "type": call.get("type", "function"), "function": function}
