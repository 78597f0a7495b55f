"""The balance. Not documented: New API, which the gateway runs, has two forms of it, and either may be switched off."""

from __future__ import annotations

from .._call import as_model
from ..errors import APIStatusError, AuthenticationError, NotFoundError, RelayDanceError, ResponseDecodeError
from ..models.account import Balance, BillingUsage, Subscription, TokenUsage
from ._resource import Resource
from ._route import get

# Without the final slash the gateway redirects.
TOKEN_USAGE = get("account.balance", "/api/usage/token/", as_model(TokenUsage))
SUBSCRIPTION = get("account.balance", "/dashboard/billing/subscription", as_model(Subscription))
USAGE = get("account.balance", "/dashboard/billing/usage", as_model(BillingUsage))


class Account(Resource):
    """The balance: what the key has left to spend."""

    async def balance(self) -> Balance:
        """The key's quota in US dollars. Works with an exhausted key too.

        Raises:
            NotFoundError: the gateway doesn't offer it.
        """
        try:
            return (await self._get(TOKEN_USAGE)).balance()
        except (APIStatusError, ResponseDecodeError) as error:
            if _says_nothing_of_the_offer(error):
                raise
        return await self._billing()

    async def _billing(self) -> Balance:
        try:
            subscription = await self._get(SUBSCRIPTION)
            usage = await self._get(USAGE)
        except (APIStatusError, ResponseDecodeError) as error:
            if _says_nothing_of_the_offer(error):
                raise
            message = "this gateway doesn't offer the balance over its API; the console shows it"
            raise NotFoundError(message, meta=error.meta, code=error.code) from None
        return usage.balance(subscription)


def _says_nothing_of_the_offer(error: RelayDanceError) -> bool:
    return isinstance(error, AuthenticationError) or error.retryable
