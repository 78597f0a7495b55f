"""The endpoints that only give names and types to what the gateway's software answers besides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Thin:
    """An endpoint.

    Attributes:
        route: as the sandbox names it.
        method: of the client.
        arguments: of the method.
    """

    route: str
    method: str
    arguments: dict[str, Any]


THIN = [
    Thin("POST /v1/embeddings", "embeddings.create", {"model": "m", "input": ["one", "two"]}),
    Thin("POST /v1/moderations", "moderations.create", {"input": "a text"}),
    Thin("POST /v1/rerank", "rerank.create", {"model": "m", "query": "cat", "documents": ["a dog", "a cat"]}),
    Thin("POST /v1/responses", "responses.create", {"model": "m", "input": "Hi"}),
    Thin("POST /v1/audio/speech", "audio.speech.create", {"model": "m", "input": "Hi there", "voice": "alloy"}),
    Thin(
        "POST /v1/audio/transcriptions",
        "audio.transcriptions.create",
        {"model": "m", "file": b"RIFF", "filename": "a.wav"},
    ),
    Thin("POST /v1/videos", "videos.create", {"model": "grok-imagine-video", "prompt": "a boat"}),
]
"""The billed ones. (`GET /v1/videos/{task_id}` is a GET.)"""
