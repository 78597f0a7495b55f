"""`video.download`: a whole clip or none, from hosts that may be trusted, without the key."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from relaydance_async import (
    AsyncRelayDance,
    DownloadError,
    InvalidInputError,
    NotFoundError,
    RelayDanceError,
    RetryPolicy,
    VideoTask,
)
from relaydance_async.sandbox import Fault, Sandbox, TaskPlan, TaskScript
from relaydance_async.sandbox._clip import clip_pieces
from tests.kit.probe import held
from tests.kit.routes import CLIPS, CONTENT, FETCH
from tests.kit.transports import tap
from tests.resources.support import CLIP, Bench

pytestmark = pytest.mark.anyio

SIZE = 3 * 1024 * 1024 + 17


@pytest.fixture(params=["httpx", "httpx on uvloop", "direct", "direct on uvloop"])
def transport(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


class Studio:
    """A sandbox with a finished clip, and a client."""

    def __init__(self, sandbox: Sandbox, client: AsyncRelayDance, task: VideoTask) -> None:
        self.sandbox = sandbox
        self.client = client
        self.task = task

    def part(self, target: Path) -> Path:
        """Where the bytes of an unfinished download are."""
        return target.with_name(f"{target.name}.{self.task.task_id}.part")

    def leave_part(self, target: Path, content: bytes, validator: str | None = None) -> None:
        """As an earlier process could have left it, by default of the clip that the host has."""
        etag = httpx.head(str(self.task.url), trust_env=False).headers["etag"]
        self.part(target).write_bytes(content)
        self.part(target).with_suffix(".etag.part").write_text(validator or etag)

    @property
    def fetches(self) -> list[int]:
        """What the result host answered, in order."""
        return [entry.status for entry in self.sandbox.ledger.cdn_entries if entry.method == "GET"]


@pytest.fixture
async def studio(bench: Bench) -> Studio:
    return await open_studio(bench)


async def open_studio(bench: Bench, **options: Any) -> Studio:
    sandbox, client, _ = bench.filming(clip_bytes=SIZE, **options)
    task = await client.video.submit(**CLIP)
    sandbox.clock.advance(10)
    return Studio(sandbox, client, await client.video.retrieve(task))


def clip_of(studio: Studio) -> bytes:
    """The bytes that the result host has."""
    return b"".join(clip_pieces(studio.task.task_id, SIZE, 0, SIZE))


def assert_whole(path: Path, studio: Studio) -> None:
    assert hashlib.sha256(path.read_bytes()).hexdigest() == hashlib.sha256(clip_of(studio)).hexdigest()
    assert [item.name for item in path.parent.iterdir()] == [path.name]  # no part file


def assert_nothing_final(directory: Path) -> None:
    assert [item.name for item in directory.iterdir() if item.suffix != ".part"] == []


async def test_the_clip_arrives_byte_for_byte_and_the_key_stays_here(studio: Studio, tmp_path: Path) -> None:
    path = await studio.client.video.download(studio.task, tmp_path / "clip.mp4")
    assert path == tmp_path / "clip.mp4"
    assert_whole(path, studio)
    assert path.read_bytes()[4:8] == b"ftyp"
    assert studio.fetches == [200]
    assert studio.sandbox.ledger.cdn_authorizations == 0
    assert (await held(studio.client)).permits == 0


async def test_no_header_of_the_api_goes_to_the_result_host(bench: Bench, tmp_path: Path) -> None:
    studio = await open_studio(bench)
    client = studio.client.with_options(default_headers={"x-secret": "s3cret"})
    heads: list[bytes] = []
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)

    async def answer(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            heads.append(await stream.receive())
            await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nclip")

    task = studio.task.model_copy(update={"url": f"http://127.0.0.1:{port}/a.mp4"})
    async with anyio.create_task_group() as group:
        group.start_soon(listener.serve, answer)
        await client.video.download(task, tmp_path / "clip.mp4")
        group.cancel_scope.cancel()
    await listener.aclose()
    assert (tmp_path / "clip.mp4").read_bytes() == b"clip"
    (head,) = heads
    assert head.startswith(b"GET /a.mp4 HTTP/1.1\r\n")
    for secret in (b"authorization", b"x-secret", b"s3cret", studio.sandbox.api_key.encode()):
        assert secret not in head.lower()


async def test_an_id_is_enough_and_is_retrieved_first(studio: Studio, tmp_path: Path) -> None:
    before = studio.sandbox.ledger.count(FETCH)
    assert_whole(await studio.client.video.download(studio.task.task_id, str(tmp_path / "clip.mp4")), studio)
    assert studio.sandbox.ledger.count(FETCH) == before + 1


async def test_a_task_that_was_not_finished_when_last_seen_is_asked_again(bench: Bench, tmp_path: Path) -> None:
    sandbox, client, _ = bench.filming(clip_bytes=SIZE)
    task = await client.video.submit(**CLIP)
    sandbox.clock.advance(10)
    assert_whole(
        await client.video.download(task, tmp_path / "clip.mp4"),
        Studio(sandbox, client, task),
    )


async def test_a_task_that_has_no_clip_is_an_error_before_anything_is_fetched(bench: Bench, tmp_path: Path) -> None:
    plan = TaskPlan(scripts={2: TaskScript(outcome="failed")})
    sandbox, client, _ = bench.filming(tasks=plan)
    running = await client.video.submit(**CLIP)
    failed = await client.video.submit(model=CLIP["model"], prompt="another")
    with pytest.raises(InvalidInputError, match="is submitted: there is no clip"):
        await client.video.download(running, tmp_path / "clip.mp4")
    sandbox.clock.advance(10)
    with pytest.raises(InvalidInputError, match="is failed: there is no clip"):
        await client.video.download(failed, tmp_path / "clip.mp4")
    with pytest.raises(NotFoundError):
        await client.video.download("task_nope", tmp_path / "clip.mp4")
    assert sandbox.ledger.cdn_entries == []
    assert list(tmp_path.iterdir()) == []


async def test_a_directory_takes_the_clip_under_its_tasks_id(studio: Studio, tmp_path: Path) -> None:
    path = await studio.client.video.download(studio.task, tmp_path)
    assert path == tmp_path / f"{studio.task.task_id}.mp4"
    assert_whole(path, studio)


async def test_the_name_in_a_directory_is_cleaned(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    task = studio.task.model_copy(update={"task_id": "../../etc/pass wd"})
    path = await studio.client.video.download(task, tmp_path / "clips")
    assert path.parent == tmp_path / "clips"
    assert path.name == "______etc_pass_wd.mp4"


async def test_a_missing_directory_is_an_error_before_anything_is_fetched(studio: Studio, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="no directory"):
        await studio.client.video.download(studio.task, tmp_path / "missing" / "clip.mp4")
    assert studio.fetches == []


async def test_a_place_that_can_not_be_written_is_a_download_error(studio: Studio, tmp_path: Path) -> None:
    target = tmp_path / "clip.mp4"
    studio.part(target).mkdir()  # where the bytes would go
    with pytest.raises(DownloadError, match=r"clip\.mp4"):
        await studio.client.video.download(studio.task, target)
    assert studio.fetches == []


async def test_an_older_clip_is_replaced_only_by_a_whole_one(bench: Bench, tmp_path: Path) -> None:
    studio = await open_studio(bench, faults=[Fault(CLIPS, status=400, times=1)])
    target = tmp_path / "clip.mp4"
    target.write_bytes(b"older")
    with pytest.raises(DownloadError):
        await studio.client.video.download(studio.task, target)
    assert target.read_bytes() == b"older"
    assert_whole(await studio.client.video.download(studio.task, target), studio)


@pytest.mark.parametrize("cut", [1, 1000, 1024 * 1024, SIZE - 1])
async def test_a_cut_transfer_is_resumed_from_where_it_broke(bench: Bench, tmp_path: Path, cut: int) -> None:
    studio = await open_studio(bench, faults=[Fault(CLIPS, cut_body_after=cut, times=1)])
    assert_whole(await studio.client.video.download(studio.task, tmp_path / "clip.mp4"), studio)
    assert studio.fetches == [200, 206]


async def test_a_transfer_that_is_cut_again_and_again_comes_whole_in_the_end(bench: Bench, tmp_path: Path) -> None:
    studio = await open_studio(bench, faults=[Fault(CLIPS, cut_body_after=1_000_000, times=3)])
    assert_whole(await studio.client.video.download(studio.task, tmp_path / "clip.mp4"), studio)
    assert studio.fetches == [200, 206, 206, 206]


async def test_a_download_that_fails_for_good_leaves_a_part_that_a_later_one_goes_on_from(
    bench: Bench, tmp_path: Path
) -> None:
    studio = await open_studio(bench, faults=[Fault(CLIPS, cut_body_after=300_000, times=4)])
    target = tmp_path / "clip.mp4"
    with pytest.raises(DownloadError, match="broke") as caught:
        await studio.client.video.download(studio.task, target)
    assert caught.value.task_id == studio.task.task_id
    assert len(caught.value.attempts) == 4
    assert_nothing_final(tmp_path)
    # aiohttp hands out nothing more once the connection broke, read or not.
    assert 300_000 <= studio.part(target).stat().st_size <= 4 * 300_000
    another = AsyncRelayDance(studio.sandbox.api_key, base_url=studio.sandbox.base_url)
    async with another:
        assert_whole(await another.video.download(studio.task, target), studio)
    assert studio.fetches[-1] == 206


async def test_the_part_of_another_task_is_not_continued(studio: Studio, tmp_path: Path) -> None:
    target = tmp_path / "clip.mp4"
    other = target.with_name("clip.mp4.task_other.part")
    other.write_bytes(b"of another clip")
    await studio.client.video.download(studio.task, target)
    assert target.read_bytes() == clip_of(studio)
    assert other.read_bytes() == b"of another clip"


async def test_a_server_that_ignores_range_begins_anew(bench: Bench, tmp_path: Path) -> None:
    studio = await open_studio(bench)
    target = tmp_path / "clip.mp4"
    studio.leave_part(target, b"x" * 1000)
    answered = clip_of(studio)
    studio.sandbox.faults.add(Fault(CLIPS, status=200, body=answered))
    assert_whole(await studio.client.video.download(studio.task, target), studio)
    assert studio.fetches == [200]


async def test_a_part_as_large_as_the_clip_or_larger_begins_anew(bench: Bench, tmp_path: Path) -> None:
    for size in (SIZE, SIZE + 10):
        studio = await open_studio(bench)
        target = tmp_path / "clip.mp4"
        studio.leave_part(target, b"x" * size)
        assert_whole(await studio.client.video.download(studio.task, target), studio)
        assert studio.fetches == [416, 200]


async def test_a_redirect_is_followed_after_a_416_too(bench: Bench, tmp_path: Path) -> None:
    studio = await open_studio(bench)
    target = tmp_path / "clip.mp4"
    studio.leave_part(target, b"x" * SIZE)
    name = (studio.task.url or "").rpartition("/")[2]
    studio.sandbox.faults.add(Fault(CLIPS, status=416, body="empty", times=1))
    studio.sandbox.faults.add(Fault(CLIPS, redirect_to=f"/clips/{name}", status=302, times=1))
    assert_whole(await studio.client.video.download(studio.task, target), studio)
    assert studio.fetches == [416, 302, 200]


async def test_a_clip_that_is_shorter_than_announced_and_then_not_continued_is_fetched_twice_and_no_more(
    bench: Bench, tmp_path: Path
) -> None:
    studio = await open_studio(bench)
    for _ in range(10):
        studio.sandbox.faults.add(Fault(CLIPS, cut_body_after=1000, times=1))
        studio.sandbox.faults.add(Fault(CLIPS, status=416, body="empty", times=1))
    with pytest.raises(DownloadError) as caught:
        await studio.client.video.download(studio.task, tmp_path / "clip.mp4")
    assert caught.value.status_code == 416
    assert len(studio.fetches) == 4


async def test_a_416_that_was_not_asked_for_is_an_error(bench: Bench, tmp_path: Path) -> None:
    studio = await open_studio(bench, faults=[Fault(CLIPS, status=416, body="empty")])
    with pytest.raises(DownloadError) as caught:
        await studio.client.video.download(studio.task, tmp_path / "clip.mp4")
    assert caught.value.status_code == 416
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content_range", ["bytes 5-9/10", "garbage", ""])
async def test_another_range_than_asked_for_is_never_written(bench: Bench, tmp_path: Path, content_range: str) -> None:
    fault = Fault(CLIPS, status=206, body=b"01234", headers={"content-range": content_range})
    studio = await open_studio(bench)
    target = tmp_path / "clip.mp4"
    studio.leave_part(target, b"x" * 1000)
    studio.sandbox.faults.add(fault)
    with pytest.raises(DownloadError, match="another range"):
        await studio.client.video.download(studio.task, target)
    assert studio.part(target).read_bytes() == b"x" * 1000
    assert_nothing_final(tmp_path)


async def test_transient_errors_of_the_result_host_are_retried(bench: Bench, tmp_path: Path) -> None:
    studio = await open_studio(bench, faults=[Fault(CLIPS, status=503, body="html", times=2)])
    assert_whole(await studio.client.video.download(studio.task, tmp_path / "clip.mp4"), studio)
    assert studio.fetches == [503, 503, 200]


@pytest.mark.parametrize("status", [400, 401])
async def test_a_refusal_of_the_result_host_is_a_download_error_with_its_status(
    bench: Bench, tmp_path: Path, status: int
) -> None:
    studio = await open_studio(bench, faults=[Fault(CLIPS, status=status)])
    with pytest.raises(DownloadError, match="fresh one") as caught:
        await studio.client.video.download(studio.task, tmp_path / "clip.mp4")
    assert (caught.value.status_code, caught.value.kind) == (status, "unknown")
    assert studio.fetches == [status]
    assert list(tmp_path.iterdir()) == []


# A URL that has expired.

EXPIRED = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
GONE = [(403, "x"), (404, "x"), (410, "x"), (400, EXPIRED), (401, EXPIRED), (200, EXPIRED)]


def gone(status: int, body: str, **more: Any) -> Fault:
    return Fault(CLIPS, status=status, body=body, content_type="application/xml", **more)


@pytest.mark.parametrize(("status", "body"), GONE)
async def test_an_expired_url_is_renewed_once_and_the_clip_comes(
    bench: Bench, tmp_path: Path, status: int, body: str
) -> None:
    studio = await open_studio(bench, faults=[gone(status, body, times=1)])
    before = studio.sandbox.ledger.count(FETCH)
    assert_whole(await studio.client.video.download(studio.task, tmp_path / "clip.mp4"), studio)
    assert studio.fetches == [status, 200]
    assert studio.sandbox.ledger.count(FETCH) == before + 1
    assert studio.sandbox.ledger.cdn_authorizations == 0


async def test_a_fresh_url_goes_on_from_what_has_come(bench: Bench, tmp_path: Path) -> None:
    studio = await open_studio(bench, faults=[Fault(CLIPS, cut_body_after=1_000_000, times=1), gone(403, "x", times=1)])
    assert_whole(await studio.client.video.download(studio.task, tmp_path / "clip.mp4"), studio)
    assert studio.fetches == [200, 403, 206]


@pytest.mark.parametrize(("status", "body"), GONE)
async def test_a_url_that_has_expired_again_at_once_is_told_with_its_status(
    bench: Bench, tmp_path: Path, status: int, body: str
) -> None:
    studio = await open_studio(bench, faults=[gone(status, body)])
    with pytest.raises(DownloadError, match="no longer valid") as caught:
        await studio.client.video.download(studio.task, tmp_path / "clip.mp4")
    assert (caught.value.status_code, caught.value.kind) == (status, "expired")
    assert caught.value.task_id == studio.task.task_id
    assert studio.fetches == [status, status]
    assert list(tmp_path.iterdir()) == []


async def test_a_task_that_gives_no_fresh_url_is_told(bench: Bench, tmp_path: Path) -> None:
    studio = await open_studio(bench, faults=[gone(403, "x")])
    studio.sandbox.faults.add(Fault(FETCH, status=401))
    with pytest.raises(DownloadError, match="a fresh URL could not be had") as caught:
        await studio.client.video.download(studio.task, tmp_path / "clip.mp4")
    assert (caught.value.status_code, caught.value.kind) == (403, "expired")
    assert studio.fetches == [403]


async def test_a_404_of_the_api_itself_is_no_expired_url(bench: Bench, tmp_path: Path) -> None:
    studio = await open_studio(bench, faults=[Fault(CONTENT, status=404)])
    with pytest.raises(DownloadError) as caught:
        await studio.client.video.download(studio.task.model_copy(update={"url": None}), tmp_path / "clip.mp4")
    assert caught.value.kind == "unknown"
    assert studio.sandbox.ledger.count(CONTENT) == 1


async def test_a_429_of_the_result_host_does_not_cool_the_key_down(bench: Bench, tmp_path: Path) -> None:
    studio = await open_studio(bench, faults=[Fault(CLIPS, status=429, retry_after="100", times=9)])
    with pytest.raises(DownloadError):
        await studio.client.with_options(deadline=50).video.download(studio.task, tmp_path / "clip.mp4")
    await studio.client.with_options(deadline=50).models.list()


async def test_a_clip_larger_than_allowed_is_refused_before_it_is_read(studio: Studio, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="max_bytes=1000"):
        await studio.client.video.download(studio.task, tmp_path / "clip.mp4", max_bytes=1000)
    assert list(tmp_path.iterdir()) == []
    assert_whole(
        await studio.client.video.download(studio.task, tmp_path / "clip.mp4", max_bytes=SIZE),
        studio,
    )


@pytest.mark.parametrize(("kind", "said"), [("video/mp4", "max_bytes=200000"), ("text/html", "larger than")])
async def test_an_endless_clip_is_stopped_at_the_limit(bench: Bench, tmp_path: Path, kind: str, said: str) -> None:
    studio = await open_studio(bench, faults=[Fault(CLIPS, endless_body=True, content_type=kind)])
    target = tmp_path / "clip.mp4"
    with pytest.raises(DownloadError, match=said):
        await studio.client.video.download(studio.task, target, max_bytes=200_000)
    assert_nothing_final(tmp_path)
    assert sum(item.stat().st_size for item in tmp_path.iterdir()) <= 200_000
    assert (await held(studio.client)).permits == 0


async def test_an_empty_clip_is_an_error(bench: Bench, tmp_path: Path) -> None:
    studio = await open_studio(bench, faults=[Fault(CLIPS, status=200, body="empty")])
    with pytest.raises(DownloadError, match="empty"):
        await studio.client.video.download(studio.task, tmp_path / "clip.mp4")
    assert list(tmp_path.iterdir()) == []


async def test_a_clip_in_a_broken_encoding_is_an_error(bench: Bench, tmp_path: Path) -> None:
    studio = await open_studio(bench, faults=[Fault(CLIPS, gzip_garbage=True)])
    with pytest.raises(DownloadError):
        await studio.client.video.download(studio.task, tmp_path / "clip.mp4")
    assert_nothing_final(tmp_path)


async def test_redirects_are_followed(bench: Bench, tmp_path: Path) -> None:
    studio = await open_studio(bench)
    target = studio.task.url
    studio.sandbox.faults.add(Fault(CLIPS, redirect_to=target, times=1))
    name = (target or "").rpartition("/")[2]
    studio.sandbox.faults.add(Fault(CLIPS, redirect_to=f"/clips/{name}", status=302, times=4))
    assert_whole(await studio.client.video.download(studio.task, tmp_path / "clip.mp4"), studio)
    assert studio.fetches == [307, 302, 302, 302, 302, 200]


async def test_a_redirect_to_the_api_does_not_carry_the_key_there(bench: Bench, tmp_path: Path) -> None:
    studio = await open_studio(bench)
    elsewhere = f"{studio.sandbox.base_url}/videos/{studio.task.task_id}/content"
    studio.sandbox.faults.add(Fault(CLIPS, redirect_to=elsewhere))
    with pytest.raises(DownloadError) as caught:
        await studio.client.video.download(studio.task, tmp_path / "clip.mp4")
    assert caught.value.status_code == 401


async def test_too_many_redirects_are_an_error(bench: Bench, tmp_path: Path) -> None:
    studio = await open_studio(bench)
    studio.sandbox.faults.add(Fault(CLIPS, redirect_to=studio.task.url))
    with pytest.raises(DownloadError, match="more than 5 redirects"):
        await studio.client.video.download(studio.task, tmp_path / "clip.mp4")
    assert studio.fetches == [307] * 6
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("location", ["http://example.com/a.mp4", "ftp://127.0.0.1/a.mp4", "file:///etc/passwd"])
async def test_a_redirect_to_where_no_clip_may_come_from_is_refused(
    bench: Bench, tmp_path: Path, location: str
) -> None:
    studio = await open_studio(bench)
    studio.sandbox.faults.add(Fault(CLIPS, redirect_to=location))
    with pytest.raises(DownloadError, match="not https"):
        await studio.client.video.download(studio.task, tmp_path / "clip.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["http://example.com/a.mp4", "http://192.0.2.1/a.mp4", "http://10.0.0.1/a.mp4"])
async def test_plain_http_is_refused_but_for_loopback(studio: Studio, tmp_path: Path, url: str) -> None:
    task = studio.task.model_copy(update={"url": url})
    for allow in (False, True):
        with pytest.raises(DownloadError, match="not https"):
            await studio.client.video.download(task, tmp_path / "clip.mp4", allow_private_hosts=allow)


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have every host name mean an address, without asking anybody."""

    def have(address: str) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET

        async def getaddrinfo(host: str, port: int) -> list[Any]:
            return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

        monkeypatch.setattr(anyio, "getaddrinfo", getaddrinfo)

    return have


@pytest.mark.parametrize(
    "address",
    [
        *["10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"],
        *["::1", "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1", "::"],
    ],
)
async def test_a_name_with_a_private_address_is_refused(
    studio: Studio, tmp_path: Path, resolve: Callable[[str], None], address: str
) -> None:
    resolve(address)
    task = studio.task.model_copy(update={"url": "https://clips.example/a.mp4"})
    with pytest.raises(DownloadError, match="private address"):
        await studio.client.video.download(task, tmp_path / "clip.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["https://10.0.0.1/a", "https://[fd00::1]/a", "https://169.254.169.254/latest"])
async def test_a_private_address_itself_is_refused(studio: Studio, tmp_path: Path, url: str) -> None:
    task = studio.task.model_copy(update={"url": url})
    with pytest.raises(DownloadError, match="private address"):
        await studio.client.video.download(task, tmp_path / "clip.mp4")


async def test_a_host_that_does_not_exist_is_a_download_error(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def getaddrinfo(host: str, port: int) -> list[Any]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(anyio, "getaddrinfo", getaddrinfo)
    task = studio.task.model_copy(update={"url": "https://clips.invalid/a.mp4"})
    with pytest.raises(DownloadError, match="can't be found") as caught:
        await studio.client.video.download(task, tmp_path / "clip.mp4")
    assert caught.value.retryable


async def test_loopback_is_refused_when_the_api_is_elsewhere(studio: Studio, tmp_path: Path) -> None:
    async with AsyncRelayDance("sk-1", base_url="https://relaydance.example/v1") as client:
        with pytest.raises(DownloadError, match="not https"):
            await client.video.download(studio.task, tmp_path / "clip.mp4")
        assert studio.fetches == []
        path = await client.video.download(studio.task, tmp_path / "clip.mp4", allow_private_hosts=True)
    assert_whole(path, studio)


@pytest.mark.parametrize("url", ["https://[::1", "https://", "https:///a.mp4", "https://a:99999999/b", "https://a b/c"])
async def test_a_url_that_is_none_is_a_download_error(studio: Studio, tmp_path: Path, url: str) -> None:
    task = studio.task.model_copy(update={"url": url})
    with pytest.raises(RelayDanceError):
        await studio.client.video.download(task, tmp_path / "clip.mp4")
    assert list(tmp_path.iterdir()) == []


async def test_a_clip_without_a_url_comes_through_the_api_with_the_key(studio: Studio, tmp_path: Path) -> None:
    task = studio.task.model_copy(update={"url": None})
    assert_whole(await studio.client.video.download(task, tmp_path / "clip.mp4"), studio)
    assert studio.sandbox.ledger.accepted(CONTENT) == 1
    assert studio.fetches == []


async def test_a_clip_through_the_api_that_is_cut_off_is_fetched_anew(bench: Bench, tmp_path: Path) -> None:
    # That route ignores Range, and the gateway cuts it off after a while.
    studio = await open_studio(bench, faults=[Fault(CONTENT, cut_body_after=2_000_000, times=2)])
    task = studio.task.model_copy(update={"url": None})
    assert_whole(await studio.client.video.download(task, tmp_path / "clip.mp4"), studio)
    assert studio.sandbox.ledger.count(CONTENT) == 3


async def test_a_redirect_from_the_api_to_the_result_host_leaves_the_key_behind(bench: Bench, tmp_path: Path) -> None:
    studio = await open_studio(bench)
    studio.sandbox.faults.add(Fault(CONTENT, redirect_to=studio.task.url, status=302))
    task = studio.task.model_copy(update={"url": None})
    assert_whole(await studio.client.video.download(task, tmp_path / "clip.mp4"), studio)
    assert studio.fetches == [200]
    assert studio.sandbox.ledger.cdn_authorizations == 0


async def test_an_error_of_the_api_instead_of_the_clip_is_not_saved_as_one(bench: Bench, tmp_path: Path) -> None:
    body = '{"error": {"message": "upstream said no", "code": "bad_response"}}'
    studio = await open_studio(bench, faults=[Fault(CONTENT, status=200, body=body), Fault(CLIPS, body="html")])
    with pytest.raises(DownloadError):
        await studio.client.video.download(studio.task.model_copy(update={"url": None}), tmp_path / "clip.mp4")
    with pytest.raises(DownloadError):
        await studio.client.video.download(studio.task, tmp_path / "clip.mp4")
    assert list(tmp_path.iterdir()) == []


async def test_cancelling_leaves_the_part_and_a_later_download_goes_on(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "clip.mp4"
    heard = tap(monkeypatch)
    await studio.client.aclose()  # to go on over the tapped transport
    with anyio.CancelScope() as scope:
        heard.on_piece = lambda _: scope.cancel()
        await studio.client.video.download(studio.task, target)
    heard.on_piece = lambda _: None
    assert scope.cancelled_caught
    assert (await held(studio.client)).permits == 0
    assert_nothing_final(tmp_path)
    assert 0 < studio.part(target).stat().st_size < SIZE
    assert clip_of(studio).startswith(studio.part(target).read_bytes())
    assert_whole(await studio.client.video.download(studio.task, target), studio)
    assert studio.fetches == [200, 206]


async def test_many_downloads_at_once_each_get_their_own_clip(bench: Bench, tmp_path: Path) -> None:
    sandbox, client, _ = bench.filming(faults=[Fault(CLIPS, cut_body_after=5000, every=3)])
    client = client.with_options(retry=RetryPolicy(max_attempts=30))  # one may meet many of the cuts
    tasks = [await client.video.submit(model=CLIP["model"], prompt=f"cat {number}") for number in range(20)]
    sandbox.clock.advance(10)

    async with anyio.create_task_group() as group:
        for task in tasks:
            group.start_soon(client.video.download, task, tmp_path)
    assert sorted(item.name for item in tmp_path.iterdir()) == sorted(f"{task.task_id}.mp4" for task in tasks)
    for task in tasks:
        assert (tmp_path / f"{task.task_id}.mp4").read_bytes().endswith(task.task_id.encode())
    assert sandbox.ledger.cdn_authorizations == 0
