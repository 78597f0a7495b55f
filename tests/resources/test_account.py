"""`account.balance`: two undocumented forms, either of which may be switched off."""

from __future__ import annotations

import json

import pytest

from relaydance_async import AsyncRelayDance, AuthenticationError, NotFoundError, RateLimitError, ServerError
from relaydance_async.sandbox import Account, Fault, Sandbox
from tests.kit.routes import SUBSCRIPTION, TOKEN_USAGE, USAGE
from tests.resources.support import Bench

pytestmark = pytest.mark.anyio


async def test_the_balance_is_in_us_dollars(bench: Bench) -> None:
    _, client = bench.start(accounts={"sk-1": Account(name="my key", balance_usd=10)})
    await client.images.generate(model="grok-imagine-image", prompt="a cat", n=5)
    balance = await client.account.balance()
    assert balance.name == "my key"
    assert balance.total_usd == 10
    assert balance.used_usd == pytest.approx(0.10)
    assert balance.available_usd == pytest.approx(9.90)
    assert balance.unlimited is False
    assert balance.expires_at is None


async def test_it_asks_with_the_final_slash_at_the_root_of_the_host(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    await client.account.balance()
    assert [entry.path for entry in sandbox.ledger.entries] == ["/api/usage/token/"]


async def test_an_unlimited_key_says_so(bench: Bench) -> None:
    _, client = bench.start(accounts={"sk-1": Account(unlimited=True)})
    assert (await client.account.balance()).unlimited is True


async def test_it_works_with_an_exhausted_key(bench: Bench) -> None:
    _, client = bench.start(accounts={"sk-1": Account(balance_usd=0)})
    assert (await client.account.balance()).available_usd == 0


@pytest.mark.parametrize("fields", [{"expires_at": 1893456000}, {"expires_at": -1}, {"expires_at": 0}, {}])
async def test_the_expiry_is_a_time_or_none(bench: Bench, fields: dict[str, int]) -> None:
    data = {"name": "", "total_granted": 500_000, "total_used": 250_000, "total_available": 250_000, **fields}
    body = json.dumps({"code": True, "message": "ok", "data": data})
    _, client = bench.start(faults=[Fault(TOKEN_USAGE, body=body)])
    balance = await client.account.balance()
    assert (balance.total_usd, balance.used_usd, balance.available_usd) == (1, 0.5, 0.5)
    assert balance.expires_at == (1893456000 if fields.get("expires_at", 0) > 0 else None)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(TOKEN_USAGE, status=404, body="error"),
        Fault(TOKEN_USAGE, status=200, body="html"),
        Fault(TOKEN_USAGE, status=200, body="api"),
        Fault(TOKEN_USAGE, status=403, body="api"),
        Fault(TOKEN_USAGE, status=200, body='{"code": true, "data": {}}'),
        Fault(TOKEN_USAGE, redirect_to="/console", status=301),
    ],
)
async def test_where_the_key_form_is_missing_the_billing_form_is_asked(bench: Bench, fault: Fault) -> None:
    accounts = {"sk-1": Account(balance_usd=10)}
    sandbox, client = bench.start(accounts=accounts, faults=[fault])
    await client.images.generate(model="grok-imagine-image", prompt="a cat", n=5)
    balance = await client.account.balance()
    assert balance.total_usd == 10
    assert balance.used_usd == pytest.approx(0.10)
    assert balance.available_usd == pytest.approx(9.90)
    assert [sandbox.ledger.count(route) for route in (TOKEN_USAGE, SUBSCRIPTION, USAGE)] == [1, 1, 1]


async def test_where_it_is_switched_off_the_error_says_that_it_is_not_offered(bench: Bench) -> None:
    sandbox, client = bench.start(accounts={"sk-1": Account(balance_offered=False)})
    with pytest.raises(NotFoundError, match="doesn't offer the balance") as caught:
        await client.account.balance()
    assert not caught.value.retryable
    assert sandbox.ledger.count(TOKEN_USAGE) == sandbox.ledger.count(SUBSCRIPTION) == 1


async def test_a_wrong_key_is_an_authentication_error_and_not_a_missing_offer(bench: Bench) -> None:
    sandbox, client = bench.start()
    sandbox.accounts[sandbox.api_key].disabled = True
    with pytest.raises(AuthenticationError):
        await client.account.balance()
    assert len(sandbox.ledger.entries) == 1


@pytest.mark.parametrize(("status", "kind"), [(429, RateLimitError), (500, ServerError), (502, ServerError)])
async def test_a_transient_error_is_retried_and_then_raised_as_itself(
    bench: Bench, status: int, kind: type[Exception]
) -> None:
    sandbox, client = bench.start(faults=[Fault(TOKEN_USAGE, status=status, times=2)])
    assert (await client.account.balance()).total_usd
    sandbox.faults.add(Fault(TOKEN_USAGE, status=status))
    with pytest.raises(kind):
        await client.account.balance()
    assert sandbox.ledger.count(SUBSCRIPTION) == 0
