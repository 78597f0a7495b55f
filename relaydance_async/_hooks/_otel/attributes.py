"""What of a call is shown as attributes. Nothing here is a prompt or an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeGuard
from urllib.parse import urlsplit

from ..._sansio.observer import CallInfo
from ...errors import RelayDanceError
from ...models.chat import ChatCompletion
from ...models.video import VideoTask
from . import names

Value: TypeAlias = str | bool | int | float | Sequence[str]
Attributes: TypeAlias = dict[str, Value]

_OPERATIONS: Final = {
    "/chat/completions": "chat",
    "/responses": "chat",
    "/embeddings": "embeddings",
}
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
}


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
    if not isinstance(result, ChatCompletion):
        return {}
    usage = result.usage
    found: dict[str, Value | None] = {
        names.RESPONSE_ID: result.id,
        names.RESPONSE_MODEL: result.model,
        names.RESPONSE_FINISH_REASONS: [choice.finish_reason or "" for choice in result.choices],
    }
    if usage is not None:
        found[names.INPUT_TOKENS] = usage.prompt_tokens
        found[names.OUTPUT_TOKENS] = usage.completion_tokens
        found[names.CACHE_READ_TOKENS] = _detail(usage, "prompt_tokens_details", "cached_tokens")
        found[names.REASONING_TOKENS] = _detail(usage, "completion_tokens_details", "reasoning_tokens")
    return _present(found)


def error_of(error: RelayDanceError) -> Attributes:
    """What an error is, without its words."""
    known: dict[str, Value | None] = {
        names.ERROR_TYPE: type(error).__name__,
        names.ERROR_CODE: error.code,
        names.REQUEST_ID: error.request_id,
    }
    return _present(known)


def cost_of(result: object) -> float | None:
    """What the answer itself says that it cost, in US dollars."""
    cost = getattr(getattr(result, "usage", None), "cost", None)
    return float(cost) if _is_number(cost) else None


def _detail(usage: object, group: str, name: str) -> int | None:
    details: Any = getattr(usage, group, None)
    value: object = details.get(name) if isinstance(details, dict) else getattr(details, name, None)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return value if isinstance(value, int) else None


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _present(values: Mapping[str, Value | None]) -> Attributes:
    return {name: value for name, value in values.items() if value is not None}
