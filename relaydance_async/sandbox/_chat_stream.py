"""A chat answer as server-sent events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ._exchange import Event
from ._json import Json, dump
from ._reply import Reply

PING = b": PING\n\n"
EVENT_STREAM = "text/event-stream"
DONE = b"data: [DONE]\n\n"
PING_EVERY = 4
"""Deltas between two pings in the gateway dialect."""


def stream_events(reply: Reply, body: Json, *, with_usage: bool, pings: bool) -> Iterator[Event]:
    """Frames in order. A body's `sandbox_chunks` makes that many equal deltas, `sandbox_chunk_delay` seconds apart."""
    wait = float(body.get("sandbox_chunk_delay", 0))
    if pings:
        yield PING
    for index in range(reply.choices):
        yield _frame(reply, index, {"role": "assistant", "content": "", **reply.message})
    chunks = body.get("sandbox_chunks")
    if chunks:
        deltas = _repeated(reply, int(chunks), str(body.get("sandbox_chunk_text", "chunk ")))
    else:
        deltas = _deltas(
            reply, "reasoning" if body.get("sandbox_reasoning_field") == "reasoning" else "reasoning_content"
        )
    for number, frame in enumerate(deltas, 1):
        if wait:
            yield wait
        yield frame
        if pings and not chunks and number % PING_EVERY == 0:
            yield PING
    for index in range(reply.choices):
        yield _frame(reply, index, {}, "stop" if chunks else reply.finish_reason)
    if with_usage:
        yield _chunk(reply, [], reply.usage)
    yield DONE


def _repeated(reply: Reply, number: int, text: str) -> Iterator[bytes]:
    frame = _frame(reply, 0, {"content": text})
    for _ in range(number):
        yield frame


def _deltas(reply: Reply, reasoning_field: str) -> Iterator[bytes]:
    for index in range(reply.choices):
        for piece in _split(reply.reasoning):
            yield _frame(reply, index, {reasoning_field: piece})
        for piece in _cut(reply):
            yield _frame(reply, index, {"content": piece})
        for piece in _split(reply.refusal or ""):
            yield _frame(reply, index, {"refusal": piece})
        for number, call in enumerate(reply.tool_calls):
            yield from _tool_call_deltas(reply, index, number, call)


def _tool_call_deltas(reply: Reply, index: int, number: int, call: Json) -> Iterator[bytes]:
    """Name and id first, then the arguments in pieces that carry nothing but the index."""
    function = call["function"]
    head: Json = {"index": number, "id": call["id"], "type": "function"}
    yield _frame(reply, index, {"tool_calls": [head | {"function": {"name": function["name"], "arguments": ""}}]})
    arguments: str = function["arguments"]
    length = reply.pieces if isinstance(reply.pieces, int) else 5
    for at in range(0, len(arguments), length):
        piece = {"index": number, "function": {"arguments": arguments[at : at + length]}}
        yield _frame(reply, index, {"tool_calls": [piece]})


def _cut(reply: Reply) -> Sequence[str]:
    if reply.pieces is None:
        return _split(reply.text)
    if isinstance(reply.pieces, int):
        return [reply.text[at : at + reply.pieces] for at in range(0, len(reply.text), reply.pieces)]
    return reply.pieces


def _split(text: str) -> list[str]:
    """Words with the space before them, so that the pieces join to the text."""
    words = text.split(" ")
    return [word if at == 0 else f" {word}" for at, word in enumerate(words) if word or at]


def _frame(reply: Reply, index: int, delta: Json, finish_reason: str | None = None) -> bytes:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return _chunk(reply, [choice], None)


def _chunk(reply: Reply, choices: list[Json], usage: Json | None) -> bytes:
    chunk: Json = {
        "id": reply.completion_id,
        "object": "chat.completion.chunk",
        "created": reply.created,
        "model": reply.model,
        "choices": choices,
    }
    if usage is not None:
        chunk["usage"] = usage
    return b"data: " + dump(chunk) + b"\n\n"
