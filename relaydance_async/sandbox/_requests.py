"""What several routes ask of a JSON body."""

from __future__ import annotations

from ._dialects import Refusal
from ._exchange import Exchange
from ._json import Json

SENSITIVE = "forbidden-word"
"""A prompt with this in it is refused for its content."""


def parse_object(exchange: Exchange) -> Json:
    try:
        return exchange.json()
    except ValueError as error:
        raise Refusal("malformed", f"无效的请求, {error}") from None


def require_model(body: Json) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise Refusal("malformed", "未指定模型名称", param="model")
    return model


def refuse_sensitive(text: str) -> None:
    if SENSITIVE in text:
        raise Refusal("prompt_refused", "sensitive words detected", param="prompt")
