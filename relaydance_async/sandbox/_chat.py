"""Chat: deterministic answers that echo the last user message, whole or streamed."""

from __future__ import annotations

import json

from ._catalog import TOKEN_UNITS
from ._chat_play import build_raw, build_scripted, play
from ._chat_script import ChatReply
from ._chat_stream import EVENT_STREAM, stream_events
from ._dialects import Refusal
from ._exchange import Answer, Exchange
from ._fault_answers import build_fault_answer
from ._json import Json, as_list, as_object, dump, is_whole
from ._reply import Reply
from ._requests import parse_object, refuse_sensitive, require_model
from ._schema import sample
from ._state import State

MOST_STOPS = 4
MOST_CHOICES = 8
MOST_CHUNKS = 1_000_000
MOST_DELAY = 3600


async def create_chat(state: State, exchange: Exchange) -> Answer:
    body = parse_object(exchange)
    model = require_model(body)
    state.check_model(exchange, model, "chat")
    check_chat(body)
    refuse_sensitive(" ".join(text_of(as_object(message)) for message in as_list(body["messages"])))
    reply = build_reply(body, model, exchange.request_id, int(state.clock.now()))
    scripted = state.chat.next()
    if scripted is not None and scripted.fails:
        return refuse_as_scripted(state, exchange, scripted)
    if scripted is not None:
        reply = build_scripted(scripted, reply, body)
    units = reply.units * TOKEN_UNITS
    state.charge(exchange, units)
    if scripted is not None and scripted.raw is not None:
        answer = build_raw(scripted, scripted.raw)
        answer.units = units
        return answer
    wants_stream = body.get("stream") is True
    if wants_stream if scripted is None or scripted.stream is None else scripted.stream:
        options = as_object(body.get("stream_options"))
        with_usage = state.dialect == "gateway" or options.get("include_usage") is True
        events = stream_events(reply, body, with_usage=with_usage, pings=state.dialect == "gateway")
        if scripted is not None:
            events = play(scripted, events)
        return Answer(200, content_type=EVENT_STREAM, events=events, units=units)
    return Answer(200, dump(build_completion(reply)), units=units)


def refuse_as_scripted(state: State, exchange: Exchange, scripted: ChatReply) -> Answer:
    answer = build_fault_answer(scripted.as_fault(), state.dialect, "error", exchange.request_id)
    if exchange.wants_stream and state.dialect == "gateway":
        answer.content_type = EVENT_STREAM
    return answer


def check_chat(body: Json) -> None:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refusal("invalid_relay", "field messages is required", param="messages")
    for message in as_list(body["messages"]):
        if as_object(message).get("role") not in ("system", "developer", "user", "assistant", "tool"):
            raise Refusal("invalid_relay", "a message needs a role", param="messages")
    stop = body.get("stop")
    if len(as_list(stop)) > MOST_STOPS:
        raise Refusal("invalid_relay", f"at most {MOST_STOPS} stop sequences", param="stop")
    temperature = body.get("temperature")
    if temperature is not None and (not isinstance(temperature, int | float) or not 0 <= temperature <= 2):
        raise Refusal("invalid_relay", "temperature must be between 0 and 2", param="temperature")
    limit = body.get("max_tokens")
    if limit is not None and (not is_whole(limit) or limit < 1):
        raise Refusal("invalid_relay", "max_tokens must be a positive whole number", param="max_tokens")
    choices = body.get("n", 1)
    if not is_whole(choices) or not 1 <= choices <= MOST_CHOICES:
        raise Refusal("invalid_relay", f"n must be between 1 and {MOST_CHOICES}", param="n")
    delay = body.get("sandbox_chunk_delay", 0)
    if not isinstance(delay, int | float) or not 0 <= delay <= MOST_DELAY:
        message = f"sandbox_chunk_delay must be between 0 and {MOST_DELAY}"
        raise Refusal("invalid_relay", message, param="sandbox_chunk_delay")
    chunks = body.get("sandbox_chunks", 0)
    if not is_whole(chunks) or not 0 <= chunks <= MOST_CHUNKS:
        raise Refusal("invalid_relay", f"sandbox_chunks must be between 0 and {MOST_CHUNKS}", param="sandbox_chunks")


def text_of(message: Json) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    return " ".join(str(as_object(part).get("text", "")) for part in as_list(content))


def build_reply(body: Json, model: str, request_id: str, created: int) -> Reply:
    messages = [as_object(message) for message in as_list(body["messages"])]
    asked = next((text_of(message) for message in reversed(messages) if message.get("role") == "user"), "")
    tool_calls = build_tool_calls(body, messages)
    text = "" if tool_calls else build_structured(body) or f"You said: {asked}"
    if messages[-1].get("role") == "tool":
        text = f"The tool said: {text_of(messages[-1])}"
    finish_reason = "tool_calls" if tool_calls else "stop"
    limit = body.get("max_tokens")
    words = text.split(" ")
    if isinstance(limit, int) and len(words) > limit:
        text, finish_reason = " ".join(words[:limit]), "length"
    reasoning = f"The user wrote {len(asked)} characters." if body.get("reasoning_effort") else ""
    choices = int(body.get("n", 1))
    usage = build_usage(messages, text, reasoning, tool_calls, choices)
    return Reply(f"chatcmpl-{request_id}", model, created, text, reasoning, tool_calls, finish_reason, usage, choices)


def build_structured(body: Json) -> str:
    """A JSON text when the caller asked for one, else ""."""
    wanted = as_object(body.get("response_format"))
    if wanted.get("type") == "json_object":
        return "{}"
    if wanted.get("type") != "json_schema":
        return ""
    schema = as_object(as_object(wanted.get("json_schema")).get("schema"))
    try:
        if not schema:
            raise ValueError("there is no schema")
        return json.dumps(sample(schema))
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        message = f"Invalid schema for response_format: {error}"
        raise Refusal("invalid_relay", message, param="response_format") from None


def build_usage(messages: list[Json], text: str, reasoning: str, tool_calls: list[Json], choices: int) -> Json:
    """A word is a token, near enough."""
    prompt = sum(4 + len(text_of(message).split()) for message in messages)
    thought = len(reasoning.split())
    completion = choices * (len(text.split()) + thought + 10 * len(tool_calls)) or 1
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": thought * choices},
    }


def build_tool_calls(body: Json, messages: list[Json]) -> list[Json]:
    """A call of the first tool, or of the one that tool_choice names; none once a tool has answered."""
    choice = body.get("tool_choice")
    functions = [as_object(as_object(tool).get("function")) for tool in as_list(body.get("tools"))]
    wanted = as_object(as_object(choice).get("function")).get("name")
    functions = [function for function in functions if wanted in (None, function.get("name"))]
    if not functions or choice == "none" or messages[-1].get("role") == "tool":
        return []
    arguments = sample(as_object(functions[0].get("parameters")))
    call = {"name": functions[0].get("name"), "arguments": json.dumps(arguments)}
    return [{"id": "call_sandbox_1", "type": "function", "function": call}]


def build_completion(reply: Reply) -> Json:
    message: Json = {"role": "assistant", "content": reply.text or None}
    if reply.refusal is not None:
        message["refusal"] = reply.refusal
    if reply.reasoning:
        message["reasoning_content"] = reply.reasoning
    if reply.tool_calls:
        message["tool_calls"] = reply.tool_calls
    message |= dict(reply.message)
    return {
        "id": reply.completion_id,
        "object": "chat.completion",
        "created": reply.created,
        "model": reply.model,
        "choices": [
            {"index": index, "message": message, "logprobs": None, "finish_reason": reply.finish_reason}
            for index in range(reply.choices)
        ],
        "usage": reply.usage,
    }
