"""What a type checker knows of `cast_to` and `stream`: mypy and pyright read this file."""

from __future__ import annotations

from typing import Any, assert_type

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

from relaydance_async import AsyncRelayDance, EventStream
from relaydance_async.sandbox import Sandbox
from tests.kit.calls import client_of

pytestmark = pytest.mark.anyio


class Listed(BaseModel):
    object: str


class Shape(TypedDict):
    object: str


async def ask(client: AsyncRelayDance) -> None:
    assert_type(await client.get("/models"), Any)
    assert_type(await client.get("/models", cast_to=Listed), Listed)
    assert_type(await client.get("/models", cast_to=Shape), Shape)
    assert_type(await client.get("/models", cast_to=bytes), bytes)
    assert_type(await client.get("/models", cast_to=dict[str, Any]), dict[str, Any])
    assert_type(await client.request("GET", "/models", cast_to=Listed), Listed)
    events = await client.request("GET", "/models", cast_to=Listed, stream=True)
    assert_type(events, EventStream[Listed])
    async for event in events:
        assert_type(event, Listed)


async def test_the_types_are_true() -> None:
    with Sandbox() as sandbox:
        async with client_of(sandbox) as client:
            await ask(client)
