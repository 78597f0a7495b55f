"""What of a call is shown as attributes. Nothing here is a prompt or an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeGuard
from urllib.parse import urlsplit

from ..._sansio.observer import CallInfo
from ..._sansio.pricing import cost_of_calls, cost_of_tokens
from ..._sansio.usage import cost_of, input_detail_of, items_of, output_detail_of, tokens_of
from ...errors import RelayDanceError
from ...models._lenient import inner, is_object
from ...models.chat import ChatCompletion
from ...models.pricing import Price
from ...models.video import VideoTask
from . import names

Value: TypeAlias = str | bool | int | float | Sequence[str]
Attributes: TypeAlias = dict[str, Value]

_OPERATIONS: Final = {
    "/chat/completions": "chat",
    "/responses": "chat",
    "/embeddings": "embeddings",
    "/moderations": "moderation",
    "/rerank": "rerank",
}
"""The conventions have no word for the last two, and let us choose one."""
_OUTPUTS: Final = {"/images": "image", "/video": "video", "/audio/speech": "speech"}
_NUMBERS: Final = {
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "temperature": "gen_ai.request.temperature",
    "top_k": "gen_ai.request.top_k",
    "top_p": "gen_ai.request.top_p",
    "max_tokens": names.REQUEST_MAX_TOKENS,
    "max_completion_tokens": names.REQUEST_MAX_TOKENS,
    "max_output_tokens": names.REQUEST_MAX_TOKENS,
    "dimensions": names.DIMENSIONS,
}
_WORDS: Final = {
    "previous_response_id": names.PREVIOUS_RESPONSE,
    "reasoning_effort": names.REASONING_LEVEL,
}
_MODALITIES: Final = ("text", "audio", "image")


def operation_of(call: CallInfo) -> str | None:
    """What a model is asked to do; None of a call that asks no model."""
    if call.model is None or not call.billed:
        return None
    return _OPERATIONS.get(call.route, "generate_content")


def server_of(call: CallInfo) -> Attributes:
    """Who is asked."""
    parts = urlsplit(call.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {names.SERVER_ADDRESS: parts.hostname or "", names.SERVER_PORT: port}


def common_of(call: CallInfo, operation: str) -> Attributes:
    """What spans and metrics of a call of a model share."""
    return {
        names.OPERATION_NAME: operation,
        names.PROVIDER_NAME: names.PROVIDER,
        names.REQUEST_MODEL: call.model or "",
        **server_of(call),
    }


def output_of(call: CallInfo) -> Attributes:
    """The kind of what is made, where the route says it."""
    for start, kind in _OUTPUTS.items():
        if call.route.startswith(start):
            return {names.OUTPUT_TYPE: kind}
    return {}


def request_of(body: Mapping[str, Any]) -> Attributes:
    """The settings of a request."""
    found: Attributes = {name: value for key, name in _NUMBERS.items() if _is_number(value := body.get(key))}
    found |= {name: value for key, name in _WORDS.items() if isinstance(value := body.get(key), str)}
    if isinstance(effort := inner(body, "reasoning", "effort"), str):
        found[names.REASONING_LEVEL] = effort
    if isinstance(encoding := body.get("encoding_format"), str):
        found[names.ENCODINGS] = [encoding]
    if _is_number(choices := body.get("n")) and choices != 1:
        found[names.REQUEST_CHOICES] = choices
    stop = body.get("stop")
    if isinstance(stop, str):
        found[names.REQUEST_STOP] = [stop]
    elif isinstance(stop, list):
        found[names.REQUEST_STOP] = [str(one) for one in stop]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    form = body.get("response_format")
    if isinstance(form, dict):
        kind: object = form.get("type")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        found[names.OUTPUT_TYPE] = "text" if kind == "text" else "json"
    return found


def result_of(result: object) -> Attributes:
    """What a result says of itself."""
    if isinstance(result, VideoTask):
        return _present({names.RESPONSE_ID: result.task_id, names.TASK_ID: result.task_id})
    found: dict[str, Value | None] = {names.RESPONSE_ID: _word(result, "id"), names.RESPONSE_MODEL: model_of(result)}
    if isinstance(result, ChatCompletion):
        # "error" is the conventions' word for a reason that was to come and didn't.
        found[names.RESPONSE_FINISH_REASONS] = [choice.finish_reason or "error" for choice in result.choices]
    return _present(found) | tokens_used(result)


def model_of(result: object) -> str | None:
    """The model that answered, as the answer names it."""
    return _word(result, "model")


def tokens_used(result: object) -> Attributes:
    """The tokens that a result says were used, by their attributes."""
    asked, answered = tokens_of(result)
    found: dict[str, Value | None] = {
        names.INPUT_TOKENS: asked,
        names.OUTPUT_TOKENS: answered,
        names.CACHE_READ_TOKENS: input_detail_of(result, "cached_tokens"),
        names.REASONING_TOKENS: output_detail_of(result, "reasoning_tokens"),
    }
    for kind in _MODALITIES:  # gateways write 0 of what they don't count
        found[f"gen_ai.usage.{kind}.input_tokens"] = input_detail_of(result, f"{kind}_tokens") or None
        found[f"gen_ai.usage.{kind}.output_tokens"] = output_detail_of(result, f"{kind}_tokens") or None
    return _present(found)


def error_of(error: RelayDanceError) -> Attributes:
    """What an error is, without its words."""
    known: dict[str, Value | None] = {
        names.ERROR_TYPE: type(error).__name__,
        names.ERROR_CODE: error.code,
        names.REQUEST_ID: error.request_id,
    }
    return _present(known)


def told_cost(result: object) -> float | None:
    """What the answer itself says that it cost, in US dollars."""
    cost = cost_of(result)
    return float(cost) if _is_number(cost) else None


def cost_by_list(result: object, price: Price | None) -> float | None:
    """What it costs by the price list, in US dollars; None where that can't be told."""
    if result is None or price is None:
        return None
    if price.per_call is not None:
        return cost_of_calls(price, items_of(result))
    asked, answered = tokens_of(result)
    return None if asked is None and answered is None else cost_of_tokens(price, asked or 0, answered or 0)


def _word(result: object, name: str) -> str | None:
    root: object = getattr(result, "root", result)
    value: object = inner(root, name) if is_object(root) else getattr(root, name, None)
    return value if isinstance(value, str) else None


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _present(values: Mapping[str, Value | None]) -> Attributes:
    return {name: value for name, value in values.items() if value is not None}
