"""What a key has left (wire 8), what it was charged for, and what things cost (wire 9)."""

from __future__ import annotations

from ._accounts import UNITS_PER_USD, to_units
from ._books import build_price, refuse_offer
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


async def fetch_log(state: State, exchange: Exchange) -> Answer:
    account = state.account_of(exchange)
    if (refused := refuse_offer(account.log, exchange)) is not None:
        return refused
    state.tasks.settle()
    rows = state.books.rows(exchange.key, state.clock.now() - account.log_delay)
    data = [row.to_json(account.name, with_request_id=account.log_request_ids) for row in rows]
    return Answer(200, dump({"success": True, "message": "", "data": data}))


async def fetch_pricing(state: State, exchange: Exchange) -> Answer:
    if (refused := refuse_offer(state.pricing, exchange)) is not None:
        return refused
    body: Json = {
        "success": True,
        "data": [build_price(name, kind) for name, kind in state.models().items()],
        "group_ratio": {"default": 1},
        "usable_group": {"default": "default"},
        "vendors": [],
        "auto_groups": ["default"],
    }
    return Answer(200, dump(body))


def not_offered() -> Answer:
    body = {"success": False, "message": "this feature is not enabled"}
    return Answer(200, dump(body), accepted=False, code="not_offered")
