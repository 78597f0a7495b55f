"""Embeddings: OpenAI's shapes."""

from __future__ import annotations

from ._base import WireModel
from ._options import CallOptions
from .chat import Usage


class Embedding(WireModel):
    """The embedding of one input: numbers, or base64 where `encoding_format="base64"` was asked for."""

    index: int = 0
    embedding: list[float] | str


class EmbeddingsResponse(WireModel):
    """The answer of `embeddings.create`."""

    data: list[Embedding]
    model: str | None = None
    usage: Usage | None = None


class EmbeddingParams(CallOptions, total=False):
    """What `embeddings.create` takes beside `model` and `input` (OpenAI's names)."""

    dimensions: int | None
    encoding_format: str | None
    user: str | None
