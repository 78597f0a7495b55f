"""A client of a sandbox, and calls of each of its routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from relaydance_async import AsyncRelayDance
from relaydance_async._config import Clock
from relaydance_async._sansio.request import build_get
from relaydance_async.resources import _books as books
from relaydance_async.resources import _prices as prices
from relaydance_async.resources import account
from relaydance_async.resources.assets import Assets
from relaydance_async.sandbox import Sandbox
from tests.kit.clocks import HandClock, QuickClock
from tests.kit.inside import api_of, make_client
from tests.kit.loops import without_loop
from tests.kit.routes import CHAT, CREATE_ASSET, EDITS, FETCH, FILES, IMAGES, MODEL, MODELS, SUBMIT

Call = Callable[[AsyncRelayDance], Awaitable[Any]]

HELLO = [{"role": "user", "content": "one two three"}]


def client_of(sandbox: Sandbox, clock: QuickClock | HandClock | Clock | None = None, **options: Any) -> AsyncRelayDance:
    """A client of the sandbox, or, with `base_url`, of something in front of it.

    A transport may have a loop in its name (see `loops`); the client is not told.
    """
    if "transport" in options:
        options["transport"] = without_loop(options["transport"])
    if clock is not None:
        options["clock"] = clock if isinstance(clock, Clock) else clock.clock
    options.setdefault("base_url", sandbox.base_url)
    return make_client(sandbox.api_key, **options)


async def ask_chat(client: AsyncRelayDance) -> Any:
    return await client.chat.completions.create(model="grok-4.3", messages=HELLO)


async def open_stream(client: AsyncRelayDance) -> Any:
    async with await client.chat.completions.create(model="grok-4.3", messages=HELLO, stream=True) as stream:
        return await stream.get_final_completion()


async def make_image(client: AsyncRelayDance) -> Any:
    return await client.images.generate(model="grok-imagine-image", prompt="a cat")


async def edit_image(client: AsyncRelayDance) -> Any:
    return await client.images.edit(model="grok-imagine-image", prompt="a hat", image=b"not a picture")


async def submit_clip(client: AsyncRelayDance) -> Any:
    return await client.video.submit(model="doubao-seedance-2-0-720p", prompt="a cat turns", seconds=5)


async def upload_file(client: AsyncRelayDance) -> Any:
    return await client.files.upload(b"not a picture", filename="cat.jpg")


def assets_of(client: AsyncRelayDance) -> Assets:
    """Of a client of a sandbox, whose assets are where its API is."""
    return client.assets.at(client.base_url.removesuffix("/v1"))


async def make_asset(client: AsyncRelayDance) -> Any:
    return await assets_of(client).create("https://example.com/cat.jpg", name="cat")


async def read_prices(client: AsyncRelayDance) -> object:
    """What `account.prices` reads, whose errors are then told as "not offered"."""
    return await api_of(client).call(build_get(prices.PRICES.target()), prices.PRICES.returns)


async def read_log(client: AsyncRelayDance) -> Any:
    """What `resolve_doubts` reads, also without a doubt."""
    return await api_of(client).call(build_get(books.LOG.target()), books.LOG.returns)


async def read_account_log(client: AsyncRelayDance) -> object:
    """What `account.log` reads, whose errors are then told as "not offered"."""
    return await api_of(client).call(build_get(account.LOG.target()), account.LOG.returns)


async def list_models(client: AsyncRelayDance) -> Any:
    return await client.models.list()


async def fetch_model(client: AsyncRelayDance) -> Any:
    return await client.models.retrieve("grok-4.3")


async def fetch_task(client: AsyncRelayDance) -> Any:
    return await client.video.retrieve("task_1")


BILLED: dict[str, Call] = {
    CHAT: ask_chat,
    IMAGES: make_image,
    EDITS: edit_image,
    SUBMIT: submit_clip,
    FILES: upload_file,
    CREATE_ASSET: make_asset,
}
"""Every billed route, with a call of it."""

CALLS: dict[str, Call] = {**BILLED, MODELS: list_models, MODEL: fetch_model, FETCH: fetch_task}
