"""The receiver as a route of Starlette and of FastAPI, each behind a real server."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount, Router

from relaydance_async import AsyncRelayDance, ConfigurationError
from relaydance_async.sandbox import Sandbox
from relaydance_async.webhooks import WebhookApp, WebhookReceiver, fastapi_router, starlette_route
from tests.webhooks.support import PATH, Handler, body_of, finished, post, serving

pytestmark = pytest.mark.anyio


def in_starlette(app: WebhookApp) -> Any:
    return Starlette(routes=[starlette_route(app, PATH)])


def in_a_mounted_router(app: WebhookApp) -> Any:
    return Starlette(routes=[Mount("/", Router([starlette_route(app, PATH)]))])


def in_fastapi(app: WebhookApp) -> Any:
    api = FastAPI()
    api.include_router(fastapi_router(app, PATH))
    return api


@pytest.mark.parametrize("build", [in_starlette, in_a_mounted_router, in_fastapi])
async def test_a_route_receives_deliveries_at_exactly_its_path(
    client: AsyncRelayDance,
    sandbox: Sandbox,
    receiver: WebhookReceiver,
    app: WebhookApp,
    handler: Handler,
    build: Callable[[WebhookApp], Any],
) -> None:
    task_id = await finished(client, sandbox)
    async with serving(build(app), lifespan="on") as hooks:
        url = receiver.callback_url(hooks, "r")
        assert await post(hooks, body_of(task_id)) == 403
        assert await post(url, body_of(task_id)) == 204
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(url)).status_code == 405
    assert [delivery.task.task_id for delivery in handler.deliveries] == [task_id]


async def test_a_prefix_of_the_router_counts_and_the_schema_does_not_show_the_route(
    client: AsyncRelayDance, sandbox: Sandbox, receiver: WebhookReceiver, app: WebhookApp
) -> None:
    task_id = await finished(client, sandbox)
    api = FastAPI()
    api.include_router(fastapi_router(app, "/deliveries"), prefix=PATH)
    async with serving(api) as hooks:
        assert await post(receiver.callback_url(f"{hooks}/deliveries", "r"), body_of(task_id)) == 204
    assert api.openapi()["paths"] == {}


@pytest.mark.parametrize(
    ("module", "build", "named"),
    [
        ("starlette.routing", starlette_route, "pip install starlette"),
        ("fastapi", fastapi_router, "pip install fastapi"),
    ],
)
async def test_a_missing_framework_is_named(
    app: WebhookApp, monkeypatch: pytest.MonkeyPatch, module: str, build: Callable[..., Any], named: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=named):
        build(app, PATH)
