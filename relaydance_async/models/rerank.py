"""Reranking: the shapes of Jina and Cohere, which the gateway's software speaks."""

from __future__ import annotations

from typing import Any

from ._base import WireModel
from ._options import CallOptions


class RerankResult(WireModel):
    """A document's place: its `index` among those that were sent, and how well it fits."""

    index: int
    relevance_score: float
    document: Any = None


class RerankResponse(WireModel):
    """The answer of `rerank.create`, the best first."""

    results: list[RerankResult]
    model: str | None = None
    usage: dict[str, Any] | None = None


class RerankParams(CallOptions, total=False):
    """What `rerank.create` takes beside `model`, `query` and `documents`."""

    max_chunks_per_doc: int | None
    return_documents: bool | None
    top_n: int | None
