"""What the local server answers, and what the clients send."""

from __future__ import annotations

import json
from typing import Any

MODEL = "grok-4.3"
MESSAGES: list[dict[str, Any]] = [{"role": "user", "content": "Say something of about seven hundred bytes."}]
REQUEST: dict[str, Any] = {"model": MODEL, "messages": MESSAGES}
STREAM_REQUEST: dict[str, Any] = {**REQUEST, "stream": True}
API_KEY = "sk-bench-0000"
CHUNK_BYTES = 200
MODELS_LISTED = 1_000

_ID = "chatcmpl-0123456789abcdef0123456789abcdef"
_HEAD: dict[str, Any] = {"id": _ID, "created": 1_760_000_000, "model": MODEL}


def _pad(build: Any, size: int) -> bytes:
    """The JSON of `build(text)` with as much text as makes it `size` bytes long."""
    return _dump(build("x" * (size - len(_dump(build(""))))))


def _dump(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def completion(size: int = 1024) -> bytes:
    """A chat completion of exactly that many bytes."""

    def build(text: str) -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        return {
            **_HEAD,
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 17, "completion_tokens": 170, "total_tokens": 187},
        }

    return _pad(build, size)


def stream_chunk(size: int = CHUNK_BYTES) -> bytes:
    """One event of a stream, `data:` and blank line included, of exactly that many bytes."""
    frame = len(b"data: \n\n")
    return b"data: " + _pad(lambda text: _chunk({"content": text}, None), size - frame) + b"\n\n"


def last_chunk() -> bytes:
    """The event with the `finish_reason`, and `[DONE]`."""
    return b"data: " + _dump(_chunk({}, "stop")) + b"\n\ndata: [DONE]\n\n"


def _chunk(delta: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {**_HEAD, "object": "chat.completion.chunk", "choices": [choice]}


def model_list(count: int = MODELS_LISTED) -> bytes:
    """The answer of `GET /models`."""
    data = [
        {
            "id": f"vendor-model-{n}",
            "object": "model",
            "created": 1_760_000_000 + n,
            "owned_by": "vendor",
            "supported_endpoint_types": ["openai"],
        }
        for n in range(count)
    ]
    return _dump({"object": "list", "data": data})


def video_task(task_id: str) -> bytes:
    """A task that is never ready, as `GET /video/generations/{task_id}` has it."""
    return _dump({"task_id": task_id, "status": "in_progress", "progress": 10, "metadata": {}})


def uploaded_file() -> bytes:
    """The answer of `POST /files`, as far as openai's model and ours need it."""
    return _dump(
        {
            "id": "file-0",
            "url": "https://example.com/file-0",
            "object": "file",
            "bytes": 1,
            "created_at": 1,
            "filename": "f",
            "purpose": "user_data",
            "status": "processed",
        }
    )
