"""Who answered a request, and whether it may have been accepted all the same.

The gateway's software signs every answer in its headers. An answer without its mark may be of somebody in between: a
proxy or a CDN, which gives up on a request that the gateway may go on to accept and bill. What isn't known is not
claimed: "not accepted" is a promise about money.

| answer | accepted? |
|---|---|
| with the gateway's mark, any 4xx or 5xx | no: it gives back what it had reserved (New API 1.0.0-rc.25, measured) |
| 429, and the statuses in `_REFUSALS`, from anybody | no: they are given before a request is passed on |
| 301, 302, 307, 308 from anybody | no: the request is to be made elsewhere; a 303 says that it was taken |
| 521, 523, 525, 526, 530 of a CDN | no: it never reached the origin (Cloudflare's documentation) |
| 500, 502, 503 with the API's envelope (see below) | no: failed requests are not billed (API documentation) |
| every other one | unknown |

An envelope is believed of an origin that signs none of its answers, and only without the mark of another relay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MARKS = ("x-oneapi-request-id", "x-new-api-version")
"""Headers that the gateway's software puts on every answer of its own (New API 1.0.0-rc.24)."""

_REFUSALS = frozenset({400, 401, 403, 404, 405, 407, 411, 413, 414, 415, 421, 422, 429, 431, 451})
"""Given by whoever looks at a request before passing it on (RFC 9110 section 15.5)."""

_REDIRECTS = frozenset({301, 302, 307, 308})

_BEFORE_ORIGIN = frozenset({521, 523, 525, 526, 530})
"""Of a CDN that could not reach the origin."""

FAILED_SOON = frozenset({500, 502, 503})
"""The API's documentation calls them not billed. A proxy says them of an application that is down: soon, unlike a
time-out."""


@dataclass(frozen=True, slots=True)
class Answerer:
    """Who answered with an error.

    Attributes:
        is_gateway: whether the gateway itself did, or may be believed to have.
        not_accepted: whether the request was certainly not accepted.
        name: who it seems to have been, for a person; "" when it was the gateway.
    """

    is_gateway: bool
    not_accepted: bool
    name: str = ""


GATEWAY = Answerer(is_gateway=True, not_accepted=True)
_UNKNOWN = Answerer(is_gateway=True, not_accepted=False)


def is_signed(headers: Mapping[str, str]) -> bool:
    """Whether an answer has the gateway's mark.

    Args:
        headers: looked up by names in lower case.
    """
    return any(map(headers.get, MARKS))


def who_answered(status: int, headers: Mapping[str, str], *, has_envelope: bool, origin_signs: bool) -> Answerer:
    """Who gave an error answer, and what it means for a request that is paid for.

    After a 2xx head nothing is "not accepted", whoever sent it: it was read as an error only because of what follows.

    Args:
        status: of the answer.
        headers: looked up by names in lower case.
        has_envelope: whether the body is an error of the API's shape.
        origin_signs: whether answers of this origin have been signed before, or are said to be.
    """
    if 200 <= status < 300:
        return _UNKNOWN
    refused = status in _REFUSALS or status in _REDIRECTS or status in _BEFORE_ORIGIN
    if is_signed(headers):
        return Answerer(is_gateway=True, not_accepted=refused or 400 <= status < 600)
    relay = _other_relay(headers)
    if has_envelope and not origin_signs and not relay and (status in FAILED_SOON or refused):
        return GATEWAY
    return Answerer(
        is_gateway=False,
        not_accepted=refused,
        name=relay or _named(headers),
    )


def _other_relay(headers: Mapping[str, str]) -> str:
    """The relay, not the gateway, that has left its own headers."""
    for name in headers:
        if name.lower().startswith(("x-litellm-", "llm_provider-")):
            return "LiteLLM"
    return ""


def _named(headers: Mapping[str, str]) -> str:
    if headers.get("cf-ray"):
        return f"Cloudflare (CF-Ray {headers['cf-ray']:.40})"
    named = (("Server", "server"), ("Via", "via"))
    seen = [f"{label} {value:.60}" for label, name in named if (value := headers.get(name))]
    return f"a proxy ({', '.join(seen)})" if seen else "somebody in between"
