"""Keywords that a function doesn't take: the error says what was probably meant."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Never

_NOT_HERE = {
    "organization": "organization= has no meaning here: a key of RelayDance belongs to one account. Leave it out",
    "project": "project= has no meaning here: a key of RelayDance belongs to one account. Leave it out",
    "webhook_secret": "RelayDance signs no webhooks: see relaydance_async.webhooks.WebhookReceiver",
    "websocket_base_url": "RelayDance has no websockets: leave websocket_base_url= out",
}
"""What openai's client takes, and this one can't."""

ELSEWHERE = {
    "AsyncOpenAI": "AsyncRelayDance is the client here",
    "OpenAI": "AsyncRelayDance is the client here; in code that is not async, use it with relaydance_async.run",
    "OpenAIError": "RelayDanceError is the root of all errors here",
    "APIError": "RelayDanceError is the root of all errors here, APIStatusError that of answers",
    "APIResponseValidationError": "it is called ResponseDecodeError here",
    "ConflictError": "a 409 is an APIStatusError here",
    "InternalServerError": "it is called ServerError here",
    "UnprocessableEntityError": "a refused prompt is a ContentRefusedError here, a wrong parameter a BadRequestError",
    "DefaultAsyncHttpxClient": "pass any httpx.AsyncClient as http_client=; without one, the client has its own engine",
    "DefaultAioHttpClient": "the client has its own engine; the extra [fast] makes it faster",
    "AsyncStream": "ChatStream is what a streamed chat is here, EventStream that of any other endpoint",
}
"""Names of openai's package, and what is to be said of each."""

NOT_OFFERED = {
    "beta": "parse, stream and run_tools are at client.chat.completions and client.chat",
    "completions": "use client.chat.completions",
    "batches": "use relaydance_async.fan_out with a journal, or the command `relaydance batch`",
    **dict.fromkeys(
        ("assistants", "threads", "fine_tuning", "vector_stores", "uploads", "evals", "containers", "realtime"),
        "RelayDance does not offer it; any endpoint can be asked by client.request(method, path)",
    ),
}
"""Attributes of openai's client, and what is to be said of each."""


def unknown_keyword(name: str, known: Iterable[str]) -> str:
    """What is wrong, and what may have been meant."""
    from difflib import get_close_matches

    near = get_close_matches(name, known, 1)
    return f"unexpected keyword argument {name!r}{f'; did you mean {near[0]}?' if near else ''}"


def refuse_unknown(given: Iterable[str], known: Iterable[str], function: Callable[..., Any]) -> Never:
    """What is wrong with the first of the given keywords that a function doesn't have.

    Raises:
        TypeError: it says what was meant.
    """
    name = next(name for name in given if name not in known)
    place = function.__qualname__.removesuffix(".__init__")
    raise TypeError(_NOT_HERE.get(name) or f"{place}: {unknown_keyword(name, known)}")
