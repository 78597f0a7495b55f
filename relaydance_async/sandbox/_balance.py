"""What a key has left (wire 8)."""

from __future__ import annotations

from ._accounts import UNITS_PER_USD, to_units
from ._exchange import Answer, Exchange
from ._json import Json, dump
from ._state import State

UNLIMITED_USD = 100_000_000.0


async def fetch_token_usage(state: State, exchange: Exchange) -> Answer:
    account = state.account_of(exchange)
    if not account.balance_offered:
        return not_offered()
    granted, used = to_units(account.balance_usd), state.wallets.used(exchange.key)
    data: Json = {
        "object": "token_usage",
        "name": account.name,
        "total_granted": granted,
        "total_used": used,
        "total_available": granted - used,
        "unlimited_quota": account.unlimited,
        "model_limits": dict.fromkeys(account.models or (), True),
        "model_limits_enabled": account.models is not None,
        "expires_at": 0,
    }
    return Answer(200, dump({"code": True, "message": "ok", "data": data}))


async def redirect_token_usage(state: State, exchange: Exchange) -> Answer:
    body = b'<a href="/api/usage/token/">Moved Permanently</a>.\n\n'
    headers = [("location", "/api/usage/token/")]
    return Answer(301, body, content_type="text/html; charset=utf-8", headers=headers, accepted=False)


async def fetch_subscription(state: State, exchange: Exchange) -> Answer:
    account = state.account_of(exchange)
    if not account.balance_offered:
        return not_offered()
    limit = UNLIMITED_USD if account.unlimited else account.balance_usd
    body: Json = {
        "object": "billing_subscription",
        "has_payment_method": True,
        "soft_limit_usd": limit,
        "hard_limit_usd": limit,
        "system_hard_limit_usd": limit,
        "access_until": 0,
    }
    return Answer(200, dump(body))


async def fetch_billing_usage(state: State, exchange: Exchange) -> Answer:
    if not state.account_of(exchange).balance_offered:
        return not_offered()
    cents = state.wallets.used(exchange.key) * 100 / UNITS_PER_USD
    return Answer(200, dump({"object": "list", "total_usage": cents}))


def not_offered() -> Answer:
    body = {"success": False, "message": "this feature is not enabled"}
    return Answer(200, dump(body), accepted=False, code="not_offered")
