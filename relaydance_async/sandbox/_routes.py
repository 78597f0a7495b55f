"""Which request goes where."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import unquote

from . import _assets, _balance, _chat, _images, _models, _others, _uploads, _video
from ._dialects import Family
from ._exchange import Answer, Exchange
from ._state import State

Handler = Callable[[State, Exchange], Awaitable[Answer]]


@dataclass(frozen=True)
class Route:
    """One route of the API."""

    template: str
    """Method and path, as faults and the ledger name it."""
    handler: Handler
    family: Family = "error"
    multipart: bool = False
    """The handler reads the body itself."""
    open_to_all: bool = False
    """Answers without a key."""


ROUTES = (
    Route("GET /v1/models", _models.list_models),
    Route("GET /v1/models/{model}", _models.fetch_model),
    Route("POST /v1/chat/completions", _chat.create_chat),
    Route("POST /v1/images/generations", _images.generate_images),
    Route("POST /v1/images/edits", _images.edit_images, multipart=True),
    Route("POST /v1/video/generations", _video.submit_video, "flat"),
    Route("GET /v1/video/generations/{task_id}", _video.fetch_task, "flat"),
    Route("GET /v1/videos/{task_id}", _video.fetch_video, "flat"),
    Route("GET /v1/videos/{task_id}/content", _video.fetch_content, "flat"),
    Route("POST /v1/files", _uploads.upload_file, multipart=True),
    Route("GET /v1/dashboard/billing/subscription", _balance.fetch_subscription),
    Route("GET /v1/dashboard/billing/usage", _balance.fetch_billing_usage),
    Route("GET /api/usage/token/", _balance.fetch_token_usage, "api"),
    Route("GET /api/log/token", _balance.fetch_log, "api"),
    Route("GET /api/pricing", _balance.fetch_pricing, "api", open_to_all=True),
    Route("POST /v1/embeddings", _others.create_embeddings),
    Route("POST /v1/moderations", _others.create_moderation),
    Route("POST /v1/rerank", _others.rerank),
    Route("POST /v1/responses", _others.create_response),
    Route("POST /v1/audio/speech", _others.create_speech),
    Route("POST /v1/audio/transcriptions", _others.create_transcription, multipart=True),
    Route("POST /v1/videos", _others.create_openai_video, "flat", multipart=True),
    Route("GET /api/upload-url", _assets.place_upload, "api"),
    Route("POST /api/assets/virtual/create", _assets.create_asset, "api"),
    Route("GET /api/assets/{asset_id}/status", _assets.fetch_asset, "api"),
    Route("GET /api/usage/token", _balance.redirect_token_usage, "api", open_to_all=True),
)

_EXACT = {route.template: route for route in ROUTES if "{" not in route.template}
_PATTERNS = [
    (re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.template)), route)
    for route in ROUTES
    if "{" in route.template
]


def find_route(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    called = f"{method} {path}"
    exact = _EXACT.get(called)
    if exact is not None:
        return exact, {}
    for pattern, route in _PATTERNS:
        if found := pattern.fullmatch(called):
            return route, {name: unquote(value) for name, value in found.groupdict().items()}
    return None
