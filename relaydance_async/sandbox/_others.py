"""What the gateway's software answers besides, for models of any name: embeddings, sound, responses, and so on."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import Any

from starlette.datastructures import FormData, UploadFile

from ._catalog import TOKEN_UNITS
from ._chat_stream import EVENT_STREAM
from ._dialects import Refusal
from ._exchange import Answer, Exchange
from ._json import Json, as_list, dump
from ._multipart import read_form
from ._requests import parse_object, refuse_sensitive, require_model
from ._state import State
from ._video import answer_video

DIMENSIONS = 8
WORD_UNITS = 10 * TOKEN_UNITS


async def create_embeddings(state: State, exchange: Exchange) -> Answer:
    body = parse_object(exchange)
    inputs = texts_in(body.get("input"), "input")
    data = [{"object": "embedding", "index": i, "embedding": embed(text)} for i, text in enumerate(inputs)]
    answer: Json = {"object": "list", "data": data, "model": require_model(body), "usage": usage_of(inputs)}
    return charge(state, exchange, answer, inputs)


def embed(text: str) -> list[float]:
    return [byte / 255 for byte in hashlib.sha256(text.encode()).digest()[:DIMENSIONS]]


async def create_moderation(state: State, exchange: Exchange) -> Answer:
    inputs = texts_in(parse_object(exchange).get("input"), "input")
    results = [{"flagged": "forbidden" in text, "categories": {"violence": "forbidden" in text}} for text in inputs]
    return charge(state, exchange, {"id": "modr-1", "model": "sandbox", "results": results}, inputs)


async def rerank(state: State, exchange: Exchange) -> Answer:
    body = parse_object(exchange)
    query = set(texts_in(body.get("query"), "query")[0].lower().split())
    documents = texts_in(body.get("documents"), "documents")
    scores = [(len(query & set(text.lower().split())) / max(1, len(query)), i) for i, text in enumerate(documents)]
    best = sorted(scores, key=lambda score: (-score[0], score[1]))[: body.get("top_n") or len(scores)]
    results = [{"index": i, "relevance_score": score} for score, i in best]
    return charge(state, exchange, {"model": require_model(body), "results": results}, documents)


async def create_speech(state: State, exchange: Exchange) -> Answer:
    body = parse_object(exchange)
    require_model(body)
    text = texts_in(body.get("input"), "input")[0]
    refuse_sensitive(text)
    answer = charge(state, exchange, {}, [text])
    answer.body, answer.content_type = build_wav(text), "audio/wav"
    return answer


def build_wav(text: str) -> bytes:
    """A tenth of a second for each word: 8 kHz, 8 bit, of a pitch of its own."""
    pitch = 20 + hashlib.sha256(text.encode()).digest()[0] % 20
    samples = bytes(160 if n % pitch < pitch // 2 else 96 for n in range(800 * len(text.split())))
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        36 + len(samples),
        b"WAVE",
        b"fmt ",
        16,
        1,
        1,
        8000,
        8000,
        1,
        8,
        b"data",
        len(samples),
    )
    return head + samples


async def create_transcription(state: State, exchange: Exchange) -> Answer:
    async with read_form(exchange, state.max_body_bytes) as form:
        require_model(dict(form))
        text, exchange.body_sha256 = await heard_in(form)
    answer = charge(state, exchange, {"text": text}, [text])
    if form.get("response_format") in ("text", "srt", "vtt"):
        answer.body, answer.content_type = text.encode() + b"\n", "text/plain; charset=utf-8"
    return answer


async def heard_in(form: FormData) -> tuple[str, str]:
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise Refusal("invalid_relay", "file is required", param="file")
    content = await file.read()
    return f"You said {len(content)} bytes.", hashlib.sha256(content).hexdigest()


async def create_response(state: State, exchange: Exchange) -> Answer:
    body = parse_object(exchange)
    model = require_model(body)
    asked = body.get("input")
    text = asked if isinstance(asked, str) else str(as_list(asked)[-1:] or "")
    refuse_sensitive(text)
    said = f"You said: {text}"
    answer = charge(state, exchange, build_response(exchange, model, said), [text, said])
    if exchange.wants_stream:
        answer.events, answer.content_type = list(stream_response(exchange, model, said)), EVENT_STREAM
    return answer


def build_response(exchange: Exchange, model: str, text: str, status: str = "completed") -> Json:
    content: list[Json] = [{"type": "output_text", "text": text, "annotations": list[Json]()}]
    message: Json = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}
    usage = usage_of([text])
    return {
        "id": f"resp_{exchange.request_id}",
        "object": "response",
        "created_at": 1626777600,
        "model": model,
        "status": status,
        "error": None,
        "output": [message] if status == "completed" else [],
        "usage": {"input_tokens": 1, "output_tokens": usage["total_tokens"], "total_tokens": usage["total_tokens"] + 1},
    }


def stream_response(exchange: Exchange, model: str, text: str) -> Iterator[bytes]:
    yield event("response.created", response=build_response(exchange, model, text, "in_progress"))
    for word in text.split(" "):
        yield event("response.output_text.delta", item_id="msg_1", output_index=0, delta=f"{word} ")
    yield event("response.completed", response=build_response(exchange, model, text))


def event(kind: str, **content: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), dump({"type": kind, **content}))


async def create_openai_video(state: State, exchange: Exchange) -> Answer:
    if not exchange.header(b"content-type").startswith("multipart/"):
        await exchange.read_body(state.max_body_bytes)
        return answer_video(state, exchange, parse_object(exchange))
    async with read_form(exchange, state.max_body_bytes) as form:
        return answer_video(state, exchange, {name: value for name, value in form.items() if isinstance(value, str)})


def texts_in(value: Any, name: str) -> list[str]:
    """A text, or a list of them; tokens and objects as their JSON."""
    items = as_list(value) or [value]
    if value in (None, "", []):
        raise Refusal("invalid_relay", f"{name} is required", param=name)
    return [item if isinstance(item, str) else dump(item).decode() for item in items]


def usage_of(texts: list[str]) -> Json:
    words = sum(len(text.split()) for text in texts)
    return {"prompt_tokens": words, "total_tokens": words}


def charge(state: State, exchange: Exchange, answer: Json, texts: list[str]) -> Answer:
    units = WORD_UNITS * max(1, usage_of(texts)["total_tokens"])
    state.charge(exchange, units)
    return Answer(200, dump(answer), units=units)
