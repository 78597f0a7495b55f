"""`GET /api/pricing`: the price list. It is the same for all keys, and may be switched off."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import TypeVar

from .._call import Api, as_model
from .._sansio.extras import CallExtras
from .._sansio.request import build_get
from ..errors import APIStatusError, NotFoundError, ResponseDecodeError
from ..models.pricing import Price, PriceList
from ._resource import apply
from ._route import get

T = TypeVar("T")

PRICES = get("account.prices", "/api/pricing", as_model(PriceList))

_NO_EXTRAS = CallExtras()

FRESH_SECONDS = 10 * 60.0
"""How long a list is believed in. Operators change prices seldom."""


async def offered(call: Awaitable[T]) -> T:
    """What a call of `PRICES` gives.

    Raises:
        NotFoundError: the gateway doesn't offer it.
    """
    try:
        return await call
    except (APIStatusError, ResponseDecodeError) as error:
        if error.retryable:
            raise
        message = "this gateway doesn't tell its prices over its API; the console shows them"
        raise NotFoundError(message, meta=error.meta, code=error.code) from None


class _Known:
    """What a client knows of the prices."""

    def __init__(self) -> None:
        self.prices: Mapping[str, Price] = {}
        self.until = float("-inf")


async def known_prices(api: Api, extras: CallExtras = _NO_EXTRAS) -> Mapping[str, Price]:
    """What the models cost, by their ids; nothing when the gateway doesn't offer it. It is asked for every ten minutes
    at most, by one call at a time.

    Args:
        extras: of the request, if there is one.

    Raises:
        RelayDanceError: the list could not be read now.
    """
    known = api.memory.of(_Known)
    if api.clock.monotonic() < known.until:
        return known.prices
    async with api.alone(_Known):
        if api.clock.monotonic() >= known.until:
            known.prices = await _fetch_by_model(apply(extras, api), extras)
            known.until = api.clock.monotonic() + FRESH_SECONDS
    return known.prices


async def _fetch_by_model(api: Api, extras: CallExtras) -> Mapping[str, Price]:
    try:
        return (await offered(api.call(build_get(PRICES.target(extras.query)), PRICES.returns))).by_model()
    except NotFoundError:
        return {}
