"""The balance and the prices. Not documented: they are New API's, which the gateway runs.

The balance has two forms, and each of all these may be switched off.
"""

from __future__ import annotations

from typing import Final, Unpack

from .._call import as_model
from .._sansio.extras import CallExtras
from ..errors import APIStatusError, AuthenticationError, NotFoundError, RelayDanceError, ResponseDecodeError
from ..models._options import ReadOptions
from ..models.account import Balance, BillingUsage, KeyLog, LogRow, Subscription
from ..models.pricing import PriceList
from ._books import TOKEN_USAGE
from ._prices import PRICES, offered
from ._resource import READ_OPTIONS, Resource
from ._route import get
from ._views import Raw, RawView, Streamed, StreamedView

SUBSCRIPTION = get("account.balance", "/dashboard/billing/subscription", as_model(Subscription))
USAGE = get("account.balance", "/dashboard/billing/usage", as_model(BillingUsage))
LOG = get("account.log", "/api/log/token", as_model(KeyLog))


class Account(Resource):
    """What the key has left to spend, and what things cost."""

    @property
    def with_raw_response(self) -> AccountRaw:
        """The same methods, with the answer itself: its status, headers and bytes beside the result."""
        return AccountRaw(Account(self._api))

    @property
    def with_streaming_response(self) -> AccountStreamed:
        """The same methods, each in an `async with`, with the answer as it comes."""
        return AccountStreamed(Account(self._api))

    async def balance(self, **options: Unpack[ReadOptions]) -> Balance:
        """The key's quota in US dollars. Works with an exhausted key too.

        Args:
            options: `extra_headers`, `extra_query`, `timeout`, `deadline` (of each request: there may be three).

        Raises:
            NotFoundError: the gateway doesn't offer it.
        """
        _, extras = CallExtras.take(options, READ_OPTIONS)
        try:
            token = await self._get(TOKEN_USAGE, extras)
            return token.balance().told_by(token)
        except (APIStatusError, ResponseDecodeError) as error:
            if _says_nothing_of_the_offer(error):
                raise
        return await self._billing(extras)

    async def prices(self, **options: Unpack[ReadOptions]) -> PriceList:
        """What the models cost; `prices.price_of(model)`.

        Args:
            options: `extra_headers`, `extra_query`, `timeout`, `deadline`.

        Raises:
            NotFoundError: the gateway doesn't offer it.
        """
        _, extras = CallExtras.take(options, READ_OPTIONS)
        return await offered(self._get(PRICES, extras))

    async def log(self, **options: Unpack[ReadOptions]) -> list[LogRow]:
        """The key's own books: charges, errors and refunds, the newest first, 1,000 at most.

        A charge appears a second or so after its request was accepted, a refund when its task has failed.

        Args:
            options: `extra_headers`, `extra_query`, `timeout`, `deadline`.

        Raises:
            NotFoundError: the gateway doesn't offer it.
        """
        _, extras = CallExtras.take(options, READ_OPTIONS)
        try:
            return (await self._get(LOG, extras)).data
        except (APIStatusError, ResponseDecodeError) as error:
            if _says_nothing_of_the_offer(error):
                raise
            message = "this gateway doesn't tell the key's books over its API; the console shows them"
            raise NotFoundError(message, meta=error.meta, code=error.code) from None

    async def _billing(self, extras: CallExtras) -> Balance:
        try:
            subscription = await self._get(SUBSCRIPTION, extras)
            usage = await self._get(USAGE, extras)
        except (APIStatusError, ResponseDecodeError) as error:
            if _says_nothing_of_the_offer(error):
                raise
            message = "this gateway doesn't offer the balance over its API; the console shows it"
            raise NotFoundError(message, meta=error.meta, code=error.code) from None
        return usage.balance(subscription).told_by(usage)


class AccountRaw(RawView):
    """See `Account.with_raw_response`."""

    prices: Final = Raw(Account.prices)


class AccountStreamed(StreamedView):
    """See `Account.with_streaming_response`."""

    prices: Final = Streamed(Account.prices)


def _says_nothing_of_the_offer(error: RelayDanceError) -> bool:
    return isinstance(error, AuthenticationError) or error.retryable
