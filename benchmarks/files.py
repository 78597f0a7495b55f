"""Point 7: large uploads and downloads."""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from .children import Children, in_turns, medians
from .machine import rss
from .ours import OURS, OURS_FAST, make_client
from .payloads import API_KEY
from .peers import AIOHTTP, HEADERS, HTTPX, OPENAI, PATIENCE
from .report import Report
from .server import LocalServer
from .settings import Settings

_MB = 10**6
_WARM_UP = 4 * _MB
_OPENAI_MOST = 200 * _MB
"""openai's client reads a file whole; more than that would only fill the machine's memory."""
_PIECE = 1 << 20
_TICK = 0.002


@dataclass(frozen=True)
class Transfers:
    """What a peer can do: upload a file, and download so many bytes to a file."""

    upload: Callable[[Path], Awaitable[object]]
    download: Callable[[int, Path], Awaitable[object]] | None


Mover: TypeAlias = Callable[[str], AbstractAsyncContextManager[Transfers]]


def _relaydance(*, fast: bool) -> Mover:
    @asynccontextmanager
    async def mover(origin: str) -> AsyncIterator[Transfers]:
        from relaydance_async import VideoTask

        async with make_client(origin, 4, fast=fast) as client:

            async def download(size: int, path: Path) -> None:
                task = VideoTask(task_id="task_0", status="succeeded", url=f"{origin}/bytes-{size}/clip.mp4")
                await client.video.download(task, path)

            yield Transfers(client.files.upload, download)

    return mover


@asynccontextmanager
async def _aiohttp(origin: str) -> AsyncIterator[Transfers]:
    import aiohttp

    async def upload(path: Path) -> None:
        with path.open("rb") as file:
            form = aiohttp.FormData()
            form.add_field("file", file, filename="clip.mp4")
            async with session.post(f"{origin}/v1/files", data=form) as response:
                await response.read()

    async def download(size: int, path: Path) -> None:
        async with session.get(f"{origin}/bytes-{size}/clip.mp4") as response:
            with path.open("wb") as file:
                async for piece in response.content.iter_chunked(_PIECE):
                    await asyncio.to_thread(file.write, piece)

    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(headers=HEADERS, timeout=timeout) as session:
        yield Transfers(upload, download)


@asynccontextmanager
async def _httpx(origin: str) -> AsyncIterator[Transfers]:
    import httpx

    async def upload(path: Path) -> None:
        with path.open("rb") as file:
            await client.post(f"{origin}/v1/files", files={"file": file})

    async def download(size: int, path: Path) -> None:
        async with client.stream("GET", f"{origin}/bytes-{size}/clip.mp4") as response:
            with path.open("wb") as file:
                async for piece in response.aiter_bytes(_PIECE):
                    await asyncio.to_thread(file.write, piece)

    async with httpx.AsyncClient(headers=HEADERS, timeout=PATIENCE) as client:
        yield Transfers(upload, download)


@asynccontextmanager
async def _openai(origin: str) -> AsyncIterator[Transfers]:
    from openai import AsyncOpenAI

    async with AsyncOpenAI(api_key=API_KEY, base_url=f"{origin}/v1") as client:
        yield Transfers(lambda path: client.files.create(file=path, purpose="user_data"), None)


_MOVERS: dict[str, Mover] = {
    OURS: _relaydance(fast=False),
    OURS_FAST: _relaydance(fast=True),
    AIOHTTP: _aiohttp,
    HTTPX: _httpx,
    OPENAI: _openai,
}


def run(settings: Settings) -> list[Report]:
    """The report of point 7."""
    size = 200 * _MB if settings.quick else 1_000 * _MB
    with tempfile.TemporaryDirectory() as directory, LocalServer() as server, Children() as children:

        def measure(name: str) -> dict[str, float] | None:
            ours = min(size, _OPENAI_MOST) if name == OPENAI else size
            return children.call(
                name, "files", "measure", name=name, origin=server.origin, directory=directory, size=ours
            )

        results = in_turns(_MOVERS, settings.repeats, measure)
    return [_report({name: medians(each) for name, each in results.items()}, size)]


def _report(found: dict[str, dict[str, float]], size: int) -> Report:
    header = ["", "MB/s", "s of CPU per GB", "MB grown", "loop blocked, ms"]
    report = Report(f"7. Files of {size // _MB:,} MB (openai: {min(size, _OPENAI_MOST) // _MB} MB)", header)
    for direction in ("upload", "download"):
        for name, each in found.items():
            if f"{direction}_mb_s" in each:
                cells = (each[f"{direction}_{what}"] for what in ("mb_s", "cpu", "grown_mb", "blocked_ms"))
                report.row(f"{direction}: {name.removesuffix(' + pydantic')}", *cells)
    for name in (OURS, OURS_FAST):
        for direction in ("upload", "download"):
            _check(report, found, name, direction)
    report.notes.append(
        "Loop blocked: the longest by which a ticker of 2 ms came late. Written to a temporary directory."
    )
    report.data = {"files": found}
    return report


def _check(report: Report, found: dict[str, dict[str, float]], name: str, direction: str) -> None:
    if name not in found or AIOHTTP not in found:
        return
    each = found[name]
    ratio = each[f"{direction}_mb_s"] / found[AIOHTTP][f"{direction}_mb_s"]
    report.check(f"{name}: {direction}, throughput / aiohttp's", ratio, "≥", 0.8)
    report.check(f"{name}: {direction}, memory grown", each[f"{direction}_grown_mb"], "≤", 20, "MB")
    report.check(f"{name}: {direction}, loop blocked", each[f"{direction}_blocked_ms"], "≤", 20, "ms")


def measure(name: str, origin: str, directory: str, size: int) -> dict[str, float]:
    """In a process of its own: throughput, CPU, memory and the event loop's longest pause, both ways."""
    source, target = Path(directory, f"upload-{size}"), Path(directory, "download")
    for path, length in ((source, size), (Path(directory, "small"), _WARM_UP)):
        if not path.exists():
            _make_file(path, length)

    async def run() -> dict[str, float]:
        async with _MOVERS[name](origin) as transfers:
            await transfers.upload(Path(directory, "small"))
            result = await _watched("upload", transfers.upload(source), size)
            if transfers.download is not None:
                await transfers.download(_WARM_UP, target)
                result |= await _watched("download", transfers.download(size, target), size)
                assert target.stat().st_size == size
                target.unlink()
            return result

    return asyncio.run(run())


def _make_file(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for _ in range(size // _MB):
            file.write(bytes(_MB))


async def _watched(direction: str, transfer: Awaitable[object], size: int) -> dict[str, float]:
    gc.collect()
    before, most, blocked = rss(), 0, 0.0

    async def tick() -> None:
        nonlocal most, blocked
        while True:
            began = time.perf_counter()
            await asyncio.sleep(_TICK)
            blocked = max(blocked, time.perf_counter() - began - _TICK)
            most = max(most, rss())

    ticker = asyncio.ensure_future(tick())
    began, cpu = time.perf_counter(), time.process_time()
    await transfer
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    ticker.cancel()
    figures = {
        "mb_s": size / seconds / _MB,
        "cpu": cpu / size * 1e9,
        "grown_mb": (most - before) / _MB,
        "blocked_ms": blocked * 1e3,
    }
    return {f"{direction}_{key}": value for key, value in figures.items()}
