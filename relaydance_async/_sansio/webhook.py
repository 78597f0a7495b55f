"""Webhook deliveries: whose they are, and what they say.

RelayDance signs nothing (API documentation, "Webhooks"), so whoever knows a callback URL can forge a delivery. What
shows that a delivery is meant for us is a token in the URL itself, which only RelayDance was given.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import cast
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from pydantic import ValidationError

from ..errors import InvalidInputError, WebhookPayloadError, WebhookVerificationError
from ..models.video import VideoTask

_REFERENCE, _EXPIRES, _TOKEN = "rd_ref", "rd_exp", "rd_sig"
_CONTEXT = b"relaydance callback 1"
_TASK_ID = re.compile(r"(?!\.+$)[A-Za-z0-9._~:=+@-]{1,256}")
"""Ids as the gateway and its upstreams make them. A server in between may read `%2F` as a slash and follow `..`, so a
delivery could otherwise choose which path is asked for with the key."""
_TIME = re.compile(r"0|[1-9][0-9]{0,14}")
"""As `str` writes a time; `int` would take "+5", " 7", "1_000" and the digits of other scripts as well."""


_MOST_FIELDS = 50
"""Of a query. Nobody's callback has more, and reading them takes time."""


class SigningSecret(bytes):
    """A secret that tracebacks with local variables show masked."""

    def __repr__(self) -> str:
        return "SigningSecret('***')"

    @classmethod
    def of(cls, given: object) -> SigningSecret:
        """What a caller gave; an empty one of what is neither text nor bytes. (Of a number, `bytes` would make so many
        zeros.) It raises nothing: the traceback would show what was given.
        """
        if isinstance(given, str):
            return cls(given.encode("utf-8", "surrogatepass"))  # an environment may hold what is no text
        return cls(given if isinstance(given, bytes) else b"")


def build_callback_url(url: str, reference: str, *, secret: bytes, expires_at: int) -> str:
    """The URL with a token over the reference and the time, as a query string.

    Args:
        url: where deliveries are received; its own query is kept.
        reference: the caller's name for the task.
        secret: the HMAC key.
        expires_at: Unix time in seconds, 0 or more.

    Raises:
        InvalidInputError: the URL is not an absolute one, or no delivery to it could be verified: it has a token
            already, or too many fields. Or the reference is no text, or holds lone surrogates.
    """
    if not isinstance(cast(object, reference), str):
        raise InvalidInputError(f"a reference is text, not {reference!r:.80}")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InvalidInputError(f"the callback URL {url!r} is none: {error}") from None
    if parts.scheme not in ("https", "http") or not parts.netloc:
        raise InvalidInputError(f"a callback URL is absolute, unlike {url!r}")
    token = _sign(secret, reference, str(expires_at))
    try:
        ours = urlencode({_REFERENCE: reference, _EXPIRES: str(expires_at), _TOKEN: token})
    except UnicodeEncodeError:
        raise InvalidInputError(f"the reference {reference!r} holds characters that no URL can") from None
    query = f"{parts.query}&{ours}" if parts.query else ours
    if _token_in(query) != (reference, str(expires_at), token):
        raise InvalidInputError("a callback URL is made of one without a token, and with fewer than 48 fields")
    return urlunsplit(parts._replace(query=query, fragment=""))


@dataclass(frozen=True, slots=True)
class VerifiedCallback:
    """What is known of a delivery whose URL has a token of ours.

    Attributes:
        reference: the caller's name for the task.
        token_hash: tells the URL from others that were minted, and opens nothing.
    """

    reference: str
    token_hash: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a delivery says. It is a hint, not to be trusted.

    Attributes:
        task_id: of the task, or an id of the upstream's.
        is_terminal: whether the task has ended.
    """

    task_id: str
    is_terminal: bool


def verify_callback(query: str, *, secrets: Sequence[bytes], now: float) -> VerifiedCallback:
    """Check the token in a delivery's query string.

    Args:
        query: without the question mark.
        secrets: any of them may have signed it.
        now: Unix time in seconds.

    Raises:
        WebhookVerificationError: no token, a wrong one, or one that has expired.
    """
    found = _token_in(query)
    if found is None:
        raise WebhookVerificationError("the delivery's URL has no token of ours")
    reference, expires, token = found
    if _TIME.fullmatch(expires) is None:
        # It also keeps the two parts of what is signed apart.
        raise WebhookVerificationError("the token of the delivery's URL is not ours")
    given = token.encode("utf-8", "surrogatepass")
    genuine = [hmac.compare_digest(_sign(secret, reference, expires).encode(), given) for secret in secrets]
    if not any(genuine):
        raise WebhookVerificationError("the token of the delivery's URL is not ours")
    if int(expires) < now:
        raise WebhookVerificationError("the token of the delivery's URL has expired")
    return VerifiedCallback(reference, hash_token(token))


def _token_in(query: str) -> tuple[str, str, str] | None:
    """The reference, the time and the token, when there is one of each."""
    fields = parse_qs(query, keep_blank_values=True) if query.count("&") < _MOST_FIELDS else {}
    values = [fields.get(name, []) for name in (_REFERENCE, _EXPIRES, _TOKEN)]
    if any(len(value) != 1 for value in values):
        return None
    reference, expires, token = (value[0] for value in values)
    return reference, expires, token


def hash_token(token: str) -> str:
    """What a journal knows a minted URL by."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def token_hash_in(url: str) -> str | None:
    """The same of a callback URL; None when it was not minted here."""
    if f"{_TOKEN}=" not in url:
        return None
    query = urlsplit(url).query
    tokens = parse_qs(query).get(_TOKEN, []) if query.count("&") < _MOST_FIELDS else []
    return hash_token(tokens[0]) if len(tokens) == 1 else None


def _sign(secret: bytes, reference: str, expires: str) -> str:
    message = b"\0".join((_CONTEXT, expires.encode("ascii"), reference.encode("utf-8", "surrogatepass")))
    return urlsafe_b64encode(hmac.digest(secret, message, "sha256")).decode().rstrip("=")


def parse_delivery(body: bytes) -> Claim:
    """What a delivery says, in any shape that the gateway or its upstreams send.

    Raises:
        WebhookPayloadError: the body is no task, or the id is none that could be asked for.
    """
    try:
        task = VideoTask.model_validate_json(body)
    except ValidationError:
        raise WebhookPayloadError(f"the delivery is not a task: {body[:200]!r}") from None
    if _TASK_ID.fullmatch(task.task_id) is None:
        raise WebhookPayloadError(f"the delivery's task has an odd id: {task.task_id[:200]!r}")
    return Claim(task.task_id, task.is_terminal)
