"""Every public coroutine method, as a call to be cancelled at each of its steps."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel

from relaydance_async import Asset, AsyncRelayDance, ChatStream, RateLimitError, RetryPolicy, StreamError, VideoTask
from relaydance_async.sandbox import Fault, Sandbox
from relaydance_async.sandbox._clip import clip_pieces
from relaydance_async.webhooks import Delivery, WebhookApp, WebhookReceiver
from tests.kit.calls import assets_of, read_log
from tests.kit.probe import look_at
from tests.kit.routes import CHAT, MODELS, SUBMIT
from tests.torture.stepping import Outcome

CLIP_BYTES = 150_000


@dataclass
class Stage:
    """What one step of a sweep stands on. `label` is different for each, and so is what is sent."""

    sandbox: Sandbox
    client: AsyncRelayDance
    folder: Path
    label: str
    decoded: list[Any]
    """The results that the client has decoded, in order."""
    background: list[asyncio.Task[Any]] = field(default_factory=list[asyncio.Task[Any]])
    finished: bool = False
    """Whether the call has ended."""
    told: list[VideoTask] = field(default_factory=list[VideoTask])
    deliveries: list[Delivery] = field(default_factory=list[Delivery])
    task: VideoTask | None = None
    asset: Asset | str = ""
    stream: ChatStream | None = None
    receiver: WebhookReceiver | None = None
    file: BinaryIO | None = None
    pieces: AsyncGenerator[bytes, None] | None = None

    @property
    def content(self) -> bytes:
        """More than one piece to upload."""
        return f"{self.label} ".encode() * 1000


Step = Callable[[Stage], Awaitable[Any]]


Check = Callable[[Stage, Outcome], Awaitable[None]]


async def nothing(stage: Stage) -> None:
    """Nothing to prepare."""


async def nothing_more(stage: Stage, outcome: Outcome) -> None:
    """Nothing to check beside what every call must leave."""


@dataclass(frozen=True)
class Scenario:
    """A call, what goes before it, and what it must leave behind."""

    call: Step
    prepare: Step = nothing
    check: Check = nothing_more
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Of the client."""
    origins: int = 1


def clip(stage: Stage) -> dict[str, Any]:
    return {"model": "doubao-seedance-2-0-720p", "prompt": stage.label}


def question(stage: Stage) -> list[dict[str, str]]:
    return [{"role": "user", "content": stage.label}]


# Chat.


async def ask(stage: Stage) -> Any:
    return await stage.client.chat.completions.create(model="grok-4.3", messages=question(stage))


async def read_stream(stage: Stage) -> Any:
    async with await stage.client.chat.completions.create(
        model="grok-4.3", messages=question(stage), stream=True
    ) as stream:
        await anext(stream)
        return await stream.get_final_completion()


# Images and files.


async def make_image(stage: Stage) -> Any:
    return await stage.client.images.generate(model="grok-imagine-image", prompt=stage.label)


async def edit_image(stage: Stage) -> Any:
    return await stage.client.images.edit(
        model="gpt-image-2", prompt=stage.label, image=[stage.content, path_of(stage)], mask=stage.content
    )


def path_of(stage: Stage) -> Path:
    path = stage.folder / "picture.png"
    path.write_bytes(stage.content)
    return path


async def upload_path(stage: Stage) -> Any:
    return await stage.client.files.upload(path_of(stage))


async def upload_bytes(stage: Stage) -> Any:
    return await stage.client.files.upload(stage.content)


async def open_file(stage: Stage) -> None:
    stage.file = path_of(stage).open("rb")


async def upload_file(stage: Stage) -> Any:
    assert stage.file is not None
    return await stage.client.files.upload(stage.file)


async def check_file(stage: Stage, outcome: Outcome) -> None:
    assert stage.file is not None
    assert not stage.file.closed  # it is the caller's
    stage.file.close()


async def open_pieces(stage: Stage) -> None:
    async def pieces() -> AsyncGenerator[bytes, None]:
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
            yield stage.content

    stage.pieces = pieces()


async def upload_pieces(stage: Stage) -> Any:
    assert stage.pieces is not None
    return await stage.client.files.upload(stage.pieces)


async def check_pieces(stage: Stage, outcome: Outcome) -> None:
    assert stage.pieces is not None
    await stage.pieces.aclose()  # nobody still runs it


# Assets.


def picture(stage: Stage) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + stage.content


async def create_asset(stage: Stage) -> Asset:
    return await assets_of(stage.client).create(f"https://example.com/{stage.label}.jpg")


async def create_asset_of_file(stage: Stage) -> Any:
    return await assets_of(stage.client).create(picture(stage))


async def have_asset(stage: Stage) -> None:
    stage.asset = await create_asset(stage)


async def retrieve_asset(stage: Stage) -> Any:
    return await assets_of(stage.client).retrieve(stage.asset)


# Video.


async def submit_file(stage: Stage) -> Any:
    return await stage.client.video.submit(**clip(stage), references=[picture(stage)])


async def submit(stage: Stage) -> Any:
    return await stage.client.video.submit(**clip(stage))


async def have_task(stage: Stage) -> None:
    stage.task = await stage.client.video.submit(**clip(stage))


async def have_clip(stage: Stage) -> None:
    await have_task(stage)
    stage.sandbox.clock.advance(60)
    stage.task = await stage.client.video.retrieve(task_of(stage))


def task_of(stage: Stage) -> VideoTask:
    assert stage.task is not None
    return stage.task


async def retrieve(stage: Stage) -> Any:
    return await stage.client.video.retrieve(task_of(stage))


async def wait(stage: Stage) -> Any:
    return await stage.client.video.wait(task_of(stage), receiver=stage.receiver)


async def check_wait(stage: Stage, outcome: Outcome) -> None:
    """The task goes on."""
    assert (await stage.client.video.wait(task_of(stage).task_id)).status == "succeeded"


async def generate(stage: Stage) -> Any:
    async def on_update(task: VideoTask) -> None:
        stage.told.append(task)
        await anyio.lowlevel.checkpoint()

    return await stage.client.video.generate(**clip(stage), on_update=on_update)


async def check_generate(stage: Stage, outcome: Outcome) -> None:
    """Once the submit was answered, the caller knows the task's id, whatever happens."""
    submitted = next((item.task_id for item in stage.decoded if isinstance(item, VideoTask)), None)
    if submitted is None:
        assert stage.told == []
        return
    assert stage.told[0].task_id == submitted
    if outcome.cancelled:
        assert outcome.error is not None
        (note,) = outcome.error.__notes__
        assert submitted in note
    assert (await stage.client.video.wait(submitted)).status == "succeeded"


async def fail_first_submit(stage: Stage) -> None:
    stage.sandbox.faults.add(Fault(SUBMIT, status=503, at=(1,)))


async def download(stage: Stage) -> Any:
    return await stage.client.video.download(task_of(stage), stage.folder / "clip.mp4")


async def check_download(stage: Stage, outcome: Outcome) -> None:
    """Under its name there is only the whole; the part is the beginning of it, and a later download goes on from it."""
    task_id = task_of(stage).task_id
    whole = b"".join(clip_pieces(task_id, CLIP_BYTES, 0, CLIP_BYTES))
    target, part = stage.folder / "clip.mp4", stage.folder / f"clip.mp4.{task_id}.part"
    validator = stage.folder / f"clip.mp4.{task_id}.etag.part"
    found = set(stage.folder.iterdir())
    assert found in (set(), {target}, {part, validator}), {path.name for path in found}
    if part.exists():
        assert part.stat().st_size > 0
        assert whole.startswith(part.read_bytes())
    elif target.exists():
        assert sha256(target.read_bytes()).digest() == sha256(whole).digest()
    await download(stage)
    assert sha256(target.read_bytes()).digest() == sha256(whole).digest()
    assert set(stage.folder.iterdir()) == {target}


# Webhooks.


async def have_receiver(stage: Stage) -> None:
    await have_task(stage)
    stage.receiver = WebhookReceiver(stage.client, secret="a secret of thirty-two characters")


async def have_deliveries(stage: Stage) -> None:
    await have_receiver(stage)

    async def deliver_again() -> None:
        while not stage.finished:
            await receive(stage)
            stage.sandbox.clock.advance(1)
            await anyio.sleep(0.001)

    stage.background = [asyncio.create_task(deliver_again())]


async def have_delivery(stage: Stage) -> None:
    await have_receiver(stage)
    stage.sandbox.clock.advance(60)


def receiver_of(stage: Stage) -> WebhookReceiver:
    assert stage.receiver is not None
    return stage.receiver


def delivery_of(stage: Stage) -> tuple[str, bytes]:
    url = receiver_of(stage).callback_url("https://shop.example/hooks", stage.label)
    return urlsplit(url).query, json.dumps({"task_id": task_of(stage).task_id, "status": "succeeded"}).encode()


async def receive(stage: Stage) -> Any:
    return await receiver_of(stage).receive(*delivery_of(stage))


async def check_receive(stage: Stage, outcome: Outcome) -> None:
    assert (await receive(stage)).duplicate is not outcome.cancelled


async def check_listeners(stage: Stage, outcome: Outcome) -> None:
    assert receiver_of(stage)._subscribers == {}
    await check_wait(stage, outcome)


async def deliver(stage: Stage) -> Any:
    query, body = delivery_of(stage)

    async def on_task(delivery: Delivery) -> None:
        await anyio.lowlevel.checkpoint()
        stage.deliveries.append(delivery)

    async def take() -> dict[str, Any]:
        await anyio.lowlevel.checkpoint()
        return {"type": "http.request", "body": body}

    async def answer(message: Any) -> None:
        await anyio.lowlevel.checkpoint()

    scope: dict[str, Any] = {"type": "http", "method": "POST", "query_string": query.encode(), "headers": []}
    await WebhookApp(receiver_of(stage), on_task)(scope, take, answer)


async def check_deliver(stage: Stage, outcome: Outcome) -> None:
    """The gateway delivers again, and the task is handled once."""
    await deliver(stage)
    assert len(stage.deliveries) == 1


# Admission.


async def occupy(stage: Stage) -> None:
    stage.background = [asyncio.create_task(stage.client.models.list()) for _ in range(3)]
    while look_at(stage.client).queued < 2:
        await anyio.lowlevel.checkpoint()


async def close_limits(stage: Stage) -> None:
    stage.sandbox.faults.add(Fault(MODELS, status=429, retry_after="9", at=(1,)))
    with suppress(RateLimitError):
        await stage.client.with_options(retry=RetryPolicy(max_attempts=1)).models.list()
    stage.background = [asyncio.create_task(stage.client.models.list()) for _ in range(3)]


async def fail_first_chat(stage: Stage) -> None:
    stage.sandbox.faults.add(Fault(CHAT, status=503, at=(1,)))


# The client itself.


async def close(stage: Stage) -> Any:
    await stage.client.aclose()


async def have_idle_connections(stage: Stage) -> None:
    await asyncio.gather(*(stage.client.models.list() for _ in range(3)))


async def have_open_stream(stage: Stage) -> None:
    stage.stream = await stage.client.chat.completions.create(model="grok-4.3", messages=question(stage), stream=True)
    await anext(stage.stream)


async def check_open_stream(stage: Stage, outcome: Outcome) -> None:
    assert stage.stream is not None
    with suppress(StreamError):
        async for _ in stage.stream:
            pass
    await stage.stream.aclose()


SCENARIOS: dict[str, Scenario] = {
    "models.list": Scenario(lambda stage: stage.client.models.list()),
    "models.retrieve": Scenario(lambda stage: stage.client.models.retrieve("grok-4.3")),
    "account.balance": Scenario(lambda stage: stage.client.account.balance()),
    "account.prices": Scenario(lambda stage: stage.client.account.prices()),
    "account.log": Scenario(lambda stage: stage.client.account.log()),
    "resolve_doubts": Scenario(lambda stage: read_log(stage.client)),
    "chat.completions.create": Scenario(ask),
    "chat.completions.create with a deadline": Scenario(ask, options={"deadline": 3600}),
    "chat.completions.create after a 503": Scenario(ask, fail_first_chat),
    "chat.completions.create in the queue": Scenario(ask, occupy, options={"max_concurrency": 1}),
    "chat.completions.create in a cool-down": Scenario(ask, close_limits),
    "chat.completions.create of a stream": Scenario(read_stream),
    "images.generate": Scenario(make_image),
    "images.edit": Scenario(edit_image),
    "files.upload of a path": Scenario(upload_path),
    "files.upload of bytes": Scenario(upload_bytes),
    "files.upload of a file": Scenario(upload_file, open_file, check_file),
    "files.upload of an iterator": Scenario(upload_pieces, open_pieces, check_pieces),
    "assets.create": Scenario(create_asset),
    "assets.create of a file": Scenario(create_asset_of_file, origins=2),
    "assets.retrieve": Scenario(retrieve_asset, have_asset),
    "video.submit": Scenario(submit),
    "video.submit of a file": Scenario(submit_file),
    "video.retrieve": Scenario(retrieve, have_task),
    "video.wait": Scenario(wait, have_task, check_wait),
    "video.wait with a receiver": Scenario(wait, have_deliveries, check_listeners),
    "video.generate": Scenario(generate, check=check_generate),
    "video.generate after a 503": Scenario(generate, fail_first_submit, check_generate),
    "video.download": Scenario(download, have_clip, check_download, origins=2),
    "receiver.receive": Scenario(receive, have_delivery, check_receive),
    "WebhookApp": Scenario(deliver, have_delivery, check_deliver),
    "aclose": Scenario(close, have_idle_connections),
    "aclose under a stream": Scenario(close, have_open_stream, check_open_stream),
}
