"""Redirects that try to get the key, or a word of theirs into a path of the API."""

from __future__ import annotations

from pathlib import Path

import pytest

from relaydance_async import AsyncRelayDance, DownloadError, RetryPolicy, VideoTask
from tests.kit.clocks import QuickClock
from tests.kit.inside import make_client
from tests.resources.result_host import Host, task_of, whole

pytestmark = pytest.mark.anyio

KEY = "sk-s3cret"

# {other}: the port of another host, which takes whatever comes.
LOCATIONS = [
    *["x.evil.example:/clip", "//127.0.0.1:{other}/clip", "http://127.0.0.1:{other}/clip", "http:clip", "https:clip"],
    *["\\\\127.0.0.1:{other}\\clip", "/\\127.0.0.1:{other}/clip", "clip", "/clip", "?clip", "#clip", "", " "],
    *["http://me:pw@127.0.0.1:{other}/clip", "http://@127.0.0.1:{other}/clip", "@127.0.0.1:{other}/clip"],
    *["http://[::1]:{other}/clip", "http://[::1", "http://127.0.0.1:0/clip", "http://127.0.0.1:99999/clip"],
    *["http://127.0.0.1:{other}/clip\tx", "http://127.0.0.1:{other}\\@127.0.0.2/clip", "/" + 4000 * "long"],
    *["http://127.0.0.1:{other}/clip#%0d%0aauthorization:x", "HTTP://127.0.0.1:{other}/clip", ":{other}/clip"],
]


def redirect(location: str) -> bytes:
    head = f"HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    return head.encode("latin-1")


async def follow(client: AsyncRelayDance, task: VideoTask, directory: Path) -> None:
    told = ""
    try:
        await client.video.download(task, directory)
    except DownloadError as error:
        told = str(error)
    assert KEY not in told
    assert "me:pw" not in told


@pytest.mark.parametrize("base_path", ["", "/v1"])
@pytest.mark.parametrize("location", LOCATIONS)
async def test_a_redirect_of_a_clips_host_gets_no_key_and_no_path_of_the_api(
    transport: str, tmp_path: Path, location: str, base_path: str
) -> None:
    api, clips, other = (Host(*10 * [whole(b"clip")]) for _ in range(3))
    async with api.running(), clips.running() as task, other.running():
        clips.answers[:0] = [redirect(location.format(other=other.port))]
        async with open_client(f"http://127.0.0.1:{api.port}{base_path}", transport) as client:
            await follow(client, task, tmp_path)
    assert api.heads == []
    for head in clips.heads + other.heads:
        assert "authorization" not in head.partition("\r\n")[2]
        assert KEY not in head


@pytest.mark.parametrize("location", LOCATIONS)
async def test_a_redirect_of_the_api_leaves_the_key_behind(transport: str, tmp_path: Path, location: str) -> None:
    api, other = (Host(*10 * [whole(b"clip")]) for _ in range(2))
    async with api.running(), other.running():
        api.answers[:0] = [redirect(location.format(other=other.port))]
        async with open_client(f"http://127.0.0.1:{api.port}/v1", transport) as client:
            await follow(client, task_of("").model_copy(update={"url": None}), tmp_path)
    asked, *others = api.heads
    assert asked.startswith("get /v1/videos/t1/content http/1.1\r\n")
    assert f"authorization: bearer {KEY}\r\n" in asked
    for head in others + other.heads:
        assert "authorization" not in head.partition("\r\n")[2]
        assert KEY not in head


async def test_an_error_names_the_host_but_not_what_signs_the_url(transport: str, tmp_path: Path) -> None:
    clips = Host()
    async with clips.running(), open_client("https://relaydance.example/v1", transport) as client:
        clips.answers[:] = [redirect("http://other.example/b?X-Signature=s1gned")]
        for url in (f"http://127.0.0.1:{clips.port}/a?X-Signature=s1gned", "http://cdn.example/b?X-Signature=s1gned"):
            with pytest.raises(DownloadError, match=r"not https: http://(other|cdn)\.example\b") as caught:
                await client.video.download(task_of(url), tmp_path, allow_private_hosts=True)
            assert "s1gned" not in caught.value.message


async def test_a_redirect_that_leads_nowhere_is_told(transport: str, tmp_path: Path) -> None:
    clips = Host(redirect(""))
    async with clips.running() as task, open_client("http://127.0.0.1:9/v1", transport) as client:
        with pytest.raises(DownloadError, match="without a word where to") as caught:
            await client.video.download(task, tmp_path)
    assert caught.value.status_code == 302
    assert list(tmp_path.iterdir()) == []


def open_client(base_url: str, transport: str) -> AsyncRelayDance:
    return make_client(
        KEY,
        base_url=base_url,
        transport=transport,
        retry=RetryPolicy(1),
        clock=QuickClock().clock,
    )
