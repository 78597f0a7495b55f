"""A FastAPI app that embeds the client, as its users write one: a client of the lifespan, and a route for each call."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from typing import Any, TypedDict, Unpack

from fastapi import FastAPI

from relaydance_async import AsyncRelayDance, RelayDanceError
from relaydance_async._sansio.observer import CallInfo, NoObserver
from relaydance_async._sansio.retry import Decision
from relaydance_async.models.meta import AttemptRecord
from tests.kit.inside import make_client
from tests.kit.transports import transport_options


@dataclass
class Outcome:
    """What became of a call, as its caller sees it.

    Attributes:
        error: the class of the error, or "" for a result.
        failures: status and code of each failed attempt; None for what it had not.
    """

    row: str
    kind: str
    id: str | None = None
    error: str = ""
    text: str = ""
    maybe_accepted: bool = False
    failures: list[tuple[int | None, str | None]] = field(default_factory=list[tuple[int | None, str | None]])


class Options(TypedDict):
    """What the app gives with each call."""

    deadline: float
    extra_headers: dict[str, str]


class Watcher(NoObserver):
    """Writes the failed attempts of a call into its outcome."""

    def __init__(self) -> None:
        self.now: ContextVar[Outcome] = ContextVar("now")

    def call_began(self, call: CallInfo) -> NoObserver | None:
        outcome = self.now.get(None)
        return _Note(outcome) if outcome is not None else None


class _Note(NoObserver):
    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    async def failed(self, record: AttemptRecord, error: RelayDanceError, decision: Decision, elapsed: float) -> None:
        self._outcome.failures.append((record.status_code, record.code))


async def submit(client: AsyncRelayDance, outcome: Outcome, **options: Unpack[Options]) -> str | None:
    task = await client.video.submit(model="happyhorse-1.0-t2v", prompt=outcome.row, **options)
    return task.id


async def upload(client: AsyncRelayDance, outcome: Outcome, **options: Unpack[Options]) -> str | None:
    file = await client.files.upload(outcome.row.encode() * 5000, filename="cat.jpg", **options)
    return file.id


async def draw(client: AsyncRelayDance, outcome: Outcome, **options: Unpack[Options]) -> str | None:
    image = await client.images.generate(model="grok-imagine-image", prompt=outcome.row, **options)
    return image.data[0].url


async def ask(client: AsyncRelayDance, outcome: Outcome, **options: Unpack[Options]) -> str | None:
    completion = await client.chat.completions.create(
        model="grok-4.3", messages=[{"role": "user", "content": outcome.row}], **options
    )
    return completion.id


async def stream(client: AsyncRelayDance, outcome: Outcome, **options: Unpack[Options]) -> str | None:
    slow = {"sandbox_chunks": 8, "sandbox_chunk_delay": 0.02}
    messages = [{"role": "user", "content": outcome.row}]
    chunks = await client.chat.completions.create(
        model="grok-4.3", messages=messages, stream=True, extra_body=slow, **options
    )
    async with chunks:
        return (await chunks.get_final_completion()).id


CALLS = {"video": submit, "file": upload, "image": draw, "chat": ask, "stream": stream}
"""What the app can do, by the kind of it."""
ONCE = {"video", "file", "image"}
"""What is never made twice."""


def build_app(transport: str, base_url: str, *, max_concurrency: int) -> FastAPI:
    """The app. `POST /video/video-17?deadline=3` makes one clip, and tells what became of it."""
    watcher = Watcher()
    clients: list[AsyncRelayDance] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with (
            transport_options(transport) as options,
            make_client(
                "sk-sandbox-0001",
                base_url=base_url,
                max_concurrency=max_concurrency,
                observers=(watcher,),
                **options,
            ) as client,
        ):
            clients.append(client)
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/{kind}/{row}")
    async def run(kind: str, row: str, deadline: float) -> dict[str, Any]:
        outcome = Outcome(row, kind)
        watcher.now.set(outcome)
        try:
            outcome.id = await CALLS[kind](clients[0], outcome, deadline=deadline, extra_headers={"x-row": row})
        except RelayDanceError as error:
            outcome.error, outcome.text, outcome.maybe_accepted = type(error).__name__, str(error), error.maybe_accepted
        return asdict(outcome)

    return app
