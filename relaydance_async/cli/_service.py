"""What the doctor asks RelayDance: does it know the key, what time is it there, what is left, and which models."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from .. import AsyncRelayDance, ModelList, NotFoundError, RelayDanceError
from .._call import Answer, as_model, as_read
from .._sansio.extras import CallExtras
from .._sansio.request import build_get
from .._sansio.target import ApiTarget
from ..errors import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    PermissionDeniedError,
    RateLimitError,
    ResponseDecodeError,
)
from ..resources._resource import Resource
from ._checks import Line
from ._exits import sentence_of
from ._session import MODELS, Session

_SKEW = 60.0
"""Seconds that two clocks may differ by. The Date of an answer is as old as the answer."""
_LOW_USD = 1.0
_ADVICE: tuple[tuple[type[Exception], str], ...] = (
    (AuthenticationError, "The key is wrong, revoked or used up: make a new one in the console"),
    (PermissionDeniedError, "The console says what the key may do"),
    (NotFoundError, "Is the base URL right? It ends in /v1 as a rule"),
    (ResponseDecodeError, "Is the base URL right? It ends in /v1 as a rule"),
    (RateLimitError, "Wait a minute"),
    (APIConnectionError, "See the lines above; is there a firewall?"),
    (APIStatusError, "Try again in a minute; then ask RelayDance's support, with the request id"),
)


@dataclass(frozen=True)
class _Seen:
    models: ModelList
    date: str | None
    seconds: float


class _Probe(Resource):
    """The list of models, and what its answer tells besides."""

    async def look(self) -> _Seen:
        began = time.monotonic()

        async def read(answer: Answer) -> _Seen:
            models = await as_model(ModelList)(answer)
            return _Seen(models, answer.headers.get("date"), time.monotonic() - began)

        target = ApiTarget("/models", "/models")
        return await self._execute(build_get(target), as_read(read, "models"), CallExtras())


async def check_service(session: Session, client: AsyncRelayDance) -> list[Line]:
    """Ask."""
    try:
        seen = await _Probe(client._api).look()  # pyright: ignore[reportPrivateUsage]
    except RelayDanceError as error:
        advice = next((advice for kind, advice in _ADVICE if isinstance(error, kind)), "See docs/errors.md")
        clock = clock_line(error.meta.headers.get("date"))
        return [Line("API", sentence_of(error), advice, is_wrong=True), clock]
    return [
        Line("API", f"answered in {seen.seconds * 1000:.0f} ms"),
        clock_line(seen.date),
        await _balance(client),
        _models(session, seen.models),
    ]


def clock_line(date: str | None, now: Callable[[], float] = time.time) -> Line:
    """Whether this machine's clock agrees with the date of an answer."""
    try:
        skew = now() - parsedate_to_datetime(date or "").timestamp()
    except (ValueError, OverflowError):
        return Line("clock", "the answer has no date")
    if abs(skew) <= _SKEW:
        return Line("clock", "right")
    way = "ahead of" if skew > 0 else "behind"
    return Line("clock", f"{abs(skew):.0f} s {way} the gateway's", "Set this machine's clock, by NTP")


async def _balance(client: AsyncRelayDance) -> Line:
    try:
        found = await client.account.balance()
    except RelayDanceError as error:
        return Line("balance", error.message, "See the console")
    left = found.available_usd
    if left is None or found.unlimited:
        return Line("balance", "the key has no limit of its own")
    return Line("balance", f"${left:.2f} left", "Top up in the console" if left < _LOW_USD else "")


def _models(session: Session, models: ModelList) -> Line:
    if not len(models):
        return Line("models", "none", "The console says which models the key may use")
    missing = [model for kind in MODELS if (model := session.model(kind, None)) not in models]
    advice = f"Not for this key: {', '.join(missing)}. Set others in config.toml, or type --model" if missing else ""
    return Line("models", f"{len(models)}", advice)
