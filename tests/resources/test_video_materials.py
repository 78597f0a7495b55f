"""Files, uploads and other clips as what a clip is made after."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from relaydance_async import (
    APIConnectionError,
    APIStatusError,
    AsyncRelayDance,
    BadRequestError,
    FirstFrame,
    IdempotencyKeyReusedError,
    ImageReference,
    InvalidInputError,
    SqliteJournal,
    UploadedFile,
    VideoTask,
    maybe_accepted,
)
from relaydance_async.resources import _upload, _uploads
from relaydance_async.sandbox import Fault, Sandbox, TaskPlan, TaskScript
from tests.kit.clocks import QuickClock
from tests.kit.routes import FETCH, FILES, SUBMIT
from tests.resources.support import CLIP, Bench

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
JPEG = b"\xff\xd8\xff\xe0" + bytes(40)
MP4 = b"\x00\x00\x00\x18ftypmp42" + bytes(40)
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(40)
HIDDEN = b"root:x:0:0:root:/root:/bin/sh\n"


class Heard:
    """What the gateway was told to make each clip after."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.plan = TaskPlan(choose=self._hear)

    def _hear(self, n: int, body: dict[str, Any]) -> TaskScript:
        self.bodies.append(body)
        return TaskScript()

    @property
    def last(self) -> list[dict[str, Any]]:
        content: list[dict[str, Any]] = self.bodies[-1]["metadata"]["content"]
        return content


@pytest.fixture
def heard() -> Heard:
    return Heard()


def url_of(item: dict[str, Any]) -> str:
    url: str = item[item["type"]]["url"]
    return url


async def test_local_files_are_uploaded_in_the_order_of_the_prompt(bench: Bench, heard: Heard, tmp_path: Path) -> None:
    sandbox, client = bench.start(tasks=heard.plan)
    (tmp_path / "cat.png").write_bytes(PNG)
    (tmp_path / "odd name").write_bytes(JPEG)
    await client.video.submit(
        **CLIP,
        references=[
            str(tmp_path / "cat.png"),
            "https://example.com/a.png",
            tmp_path / "odd name",
            MP4,
            io.BytesIO(WAV),
        ],
    )
    found = heard.last
    assert [item["role"] for item in found] == [
        *("reference_image", "reference_image", "reference_image", "reference_video", "reference_audio"),
    ]
    assert [url_of(item).rpartition(".")[2] for item in found] == ["png", "png", "jpg", "mp4", "wav"]
    assert url_of(found[1]) == "https://example.com/a.png"
    assert sandbox.ledger.accepted(FILES) == 4
    assert "cat" not in url_of(found[0])  # what it is called here is nobody's business


async def test_the_same_content_is_uploaded_once(bench: Bench, tmp_path: Path) -> None:
    sandbox, client = bench.start()
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "b.png").write_bytes(PNG)
    async with anyio.create_task_group() as group:
        for name in ("a.png", "b.png", "a.png"):

            async def submit(path: Path = tmp_path / name) -> None:
                await client.video.submit(**CLIP, references=[path, PNG])

            group.start_soon(submit)
    await client.with_options(deadline=60).video.submit(**CLIP, first_frame=PNG)
    assert sandbox.ledger.accepted(FILES) == 1
    assert sandbox.ledger.accepted(SUBMIT) == 4


async def test_a_file_that_changed_is_another(bench: Bench, heard: Heard, tmp_path: Path) -> None:
    _, client = bench.start(tasks=heard.plan)
    path = tmp_path / "a.png"
    urls: list[str] = []
    for number in range(2):
        path.write_bytes(PNG + bytes([number]))
        await client.video.submit(**CLIP, references=[path])
        urls.append(url_of(heard.last[0]))
    assert len(set(urls)) == 2


async def test_a_file_that_changes_while_it_is_sent_is_not_sent_whole(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, client = bench.start()
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    real = _upload.open_upload

    def late(*args: Any, **kwargs: Any) -> Any:
        path.write_bytes(PNG[:-1] + b"\x01")
        return real(*args, **kwargs)

    monkeypatch.setattr(_uploads, "open_upload", late)
    with pytest.raises(InvalidInputError, match="changed"):
        await client.video.submit(**CLIP, references=[path])
    assert sandbox.ledger.accepted() == 0
    monkeypatch.undo()
    await client.video.submit(**CLIP, references=[path])
    assert sandbox.ledger.accepted(FILES) == 1


@pytest.mark.parametrize(
    ("references", "told"),
    [
        (["missing.png"], "missing.png"),
        ([b""], "empty"),
        ([HIDDEN], "no image, video or sound"),
        ([Path("/etc/passwd")], "no image, video or sound"),
        (["."], "not a file"),
        ([io.StringIO("text")], "text"),
        ([ImageReference(MP4)], "no image"),
        ([ImageReference("missing.png")], "not a URL"),
        ([PNG] * 10, "at most 9"),
        ([PNG, 5], r"references\.1"),
        ("cat.png", "must be a list"),
        (PNG, "must be a list"),
    ],
)
async def test_what_is_no_reference_is_refused_before_anything_is_sent(
    bench: Bench, references: Any, told: str
) -> None:
    sandbox, client = bench.start()
    with pytest.raises(InvalidInputError, match=told):
        await client.video.submit(**CLIP, references=references)
    assert sandbox.ledger.count() == 0


async def test_a_file_that_no_gateway_takes_is_refused_before_it_is_read(bench: Bench, tmp_path: Path) -> None:
    with (tmp_path / "huge.png").open("wb") as huge:
        huge.write(PNG)
        huge.truncate(10**12)  # it takes no room on the disk
    sandbox, client = bench.start()
    with anyio.fail_after(5), pytest.raises(InvalidInputError, match=r"huge\.png has 1,000,000,000,000 bytes"):
        await client.video.submit(**CLIP, references=[tmp_path / "huge.png"])
    assert sandbox.ledger.count() == 0


async def test_a_frame_excludes_reference_images_before_anything_is_sent(bench: Bench) -> None:
    sandbox, client = bench.start()
    wrong: list[dict[str, Any]] = [
        {"first_frame": PNG, "references": [JPEG]},
        {"first_frame": PNG, "references": [FirstFrame("https://example.com/a.png")]},
        {"first_frame": MP4},
        {"last_frame": WAV},
        {"last_frame": 5},
    ]
    for arguments in wrong:
        with pytest.raises(InvalidInputError):
            await client.video.submit(**CLIP, **arguments)
    assert sandbox.ledger.count() == 0


async def test_a_pipe_is_refused_because_it_is_read_twice(bench: Bench) -> None:
    class Once(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            return 0

    sandbox, client = bench.start()
    with pytest.raises(InvalidInputError, match="read twice"):
        await client.video.submit(**CLIP, references=[cast(Any, Once())])
    assert sandbox.ledger.count() == 0


async def test_frames_are_files_uploads_or_urls(bench: Bench, heard: Heard) -> None:
    sandbox, client = bench.start(tasks=heard.plan)
    file = UploadedFile(id="file_1", url="https://example.com/up.png")
    await client.video.submit(**CLIP, first_frame=PNG, last_frame=file)
    found = heard.last
    assert [item["role"] for item in found] == ["first_frame", "last_frame"]
    assert url_of(found[1]) == file.url
    await client.video.submit(**CLIP, first_frame="https://example.com/a.png", references=[file.url + "x.mp4"])
    assert [item["role"] for item in heard.last] == ["reference_video", "first_frame"]
    assert sandbox.ledger.accepted(FILES) == 1


async def test_bytes_that_change_later_are_sent_as_they_were(bench: Bench, heard: Heard) -> None:
    _, client = bench.start(tasks=heard.plan)
    mutable = bytearray(PNG)
    call = client.video.submit(**CLIP, references=[mutable])
    mutable[:4] = b"text"
    await call
    assert url_of(heard.last[0]).endswith(".png")


# Other clips.


@pytest.mark.parametrize("dialect", ["gateway"])  # which alone tells it
async def test_scenes_are_chained_by_their_last_frames(bench: Bench, heard: Heard) -> None:
    _, client, _ = bench.filming(tasks=heard.plan)
    one = await client.video.generate(**CLIP, return_last_frame=True)
    two = await client.video.generate(**CLIP, first_frame=one, return_last_frame=True)
    (frame,) = heard.last
    assert frame["role"] == "first_frame"
    assert url_of(frame).partition("?")[0] == (one.last_frame_url or "").partition("?")[0]
    await client.video.submit(**CLIP, references=[two], first_frame=two)
    clip, frame = heard.last
    assert (clip["role"], frame["role"]) == ("reference_video", "first_frame")
    assert url_of(clip).partition("?")[0] == (two.url or "").partition("?")[0]
    assert url_of(frame).partition("?")[0] == (two.last_frame_url or "").partition("?")[0]


async def test_a_task_without_a_last_frame_stops_the_submit(bench: Bench) -> None:
    sandbox, client, _ = bench.filming()
    one = await client.video.generate(**CLIP)
    with pytest.raises(InvalidInputError, match="return_last_frame=True") as caught:
        await client.video.submit(**CLIP, first_frame=one)
    assert caught.value.task_id == one.task_id
    assert maybe_accepted(caught.value) is False
    running = await client.video.submit(**CLIP)
    with pytest.raises(InvalidInputError, match="wait for it first"):
        await client.video.submit(**CLIP, first_frame=running)
    assert sandbox.ledger.accepted(SUBMIT) == 2


# Money.


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(FILES, status=400), BadRequestError),
        (Fault(FILES, after_accept=True), APIConnectionError),
        (Fault(FILES, status=504, body="html"), APIStatusError),
    ],
)
async def test_a_failed_upload_stops_before_the_submit(bench: Bench, fault: Fault, error: type[Exception]) -> None:
    sandbox, client = bench.start(faults=[fault])
    with pytest.raises(error) as caught:
        await client.video.submit(**CLIP, references=[PNG])
    assert maybe_accepted(caught.value) is False  # no clip is in the making, whatever became of the file
    assert any("no clip was asked for" in note for note in caught.value.__notes__)
    assert sandbox.ledger.count(SUBMIT) == 0


async def test_a_repeated_submit_uploads_nothing_again(bench: Bench) -> None:
    sandbox, client = bench.start(faults=[Fault(SUBMIT, status=503, times=2)])
    await client.video.submit(**CLIP, references=[PNG, JPEG])
    assert sandbox.ledger.count(FILES) == 2
    assert sandbox.ledger.count(SUBMIT) == 3


async def test_one_upload_that_fails_leaves_the_others_uploaded(bench: Bench) -> None:
    sandbox, client = bench.start(faults=[Fault(FILES, status=400, at=(1,))])
    with pytest.raises(BadRequestError):
        await client.video.submit(**CLIP, references=[PNG, JPEG, MP4])
    await client.video.submit(**CLIP, references=[PNG, JPEG, MP4])
    assert sandbox.ledger.accepted(FILES) == 3
    assert sandbox.ledger.count(FILES) == 4


async def test_a_cancelled_upload_is_no_clip(bench: Bench) -> None:
    sandbox, client = bench.start(faults=[Fault(FILES, stall=True)])
    with anyio.move_on_after(0.2):
        await client.video.submit(**CLIP, references=[PNG])
    assert sandbox.ledger.count(SUBMIT) == 0


# With a journal: programs that are run again.


class Runs:
    """The same program, run again and again: each time with a new client and the same journal."""

    def __init__(self, bench: Bench, sandbox: Sandbox, path: Path) -> None:
        self.bench, self.sandbox, self.path = bench, sandbox, path

    async def submit(self, key: str | None, **arguments: Any) -> VideoTask:
        async with SqliteJournal(self.path / "run.db") as journal:
            client = self.bench.client(self.sandbox, journal=journal)
            return await client.video.submit(**CLIP, idempotency_key=key, **arguments)


@pytest.fixture
def runs(bench: Bench, tmp_path: Path) -> Runs:
    return Runs(bench, bench.sandbox(), tmp_path)


async def test_a_run_with_the_same_files_replays(runs: Runs, tmp_path: Path) -> None:
    one, two = tmp_path / "a.png", tmp_path / "elsewhere.png"
    one.write_bytes(PNG)
    two.write_bytes(PNG)
    first = await runs.submit("k", references=[one])
    again = await runs.submit("k", references=[two])
    assert again.task_id == first.task_id
    assert again.meta.replayed
    assert runs.sandbox.ledger.count(FILES) == runs.sandbox.ledger.count(SUBMIT) == 1
    one.write_bytes(JPEG)
    with pytest.raises(IdempotencyKeyReusedError):
        await runs.submit("k", references=[one])
    assert runs.sandbox.ledger.count(FILES) == 1


async def test_a_run_whose_submit_was_refused_uploads_nothing_again(bench: Bench, tmp_path: Path) -> None:
    runs = Runs(bench, bench.sandbox(faults=[Fault(SUBMIT, status=400, times=1)]), tmp_path)
    with pytest.raises(BadRequestError):
        await runs.submit("k", references=[PNG])
    await runs.submit("k", references=[PNG])
    await runs.submit(None, references=[PNG])
    assert runs.sandbox.ledger.count(FILES) == 1
    assert runs.sandbox.ledger.count(SUBMIT) == 3


async def test_an_upload_of_which_nobody_knows_is_made_again(bench: Bench, tmp_path: Path) -> None:
    runs = Runs(bench, bench.sandbox(faults=[Fault(FILES, after_accept=True, times=1)]), tmp_path)
    with pytest.raises(APIConnectionError):
        await runs.submit("k", references=[PNG])
    await runs.submit("k", references=[PNG])
    assert runs.sandbox.ledger.count(FILES) == 2
    assert runs.sandbox.ledger.count(SUBMIT) == 1


async def test_an_upload_is_not_believed_in_for_ever(bench: Bench, tmp_path: Path) -> None:
    sandbox, pace = bench.sandbox(), QuickClock(jitter=None)
    async with SqliteJournal(tmp_path / "run.db") as journal:
        client = bench.client(sandbox, journal=journal, pace=pace)
        for hours, uploads in ((0, 1), (23, 1), (2, 2), (20, 2), (6, 3)):
            await pace.sleep(hours * 3600)
            await client.video.submit(**CLIP, references=[PNG])
            assert sandbox.ledger.count(FILES) == uploads
            # Another client of the same journal thinks the same.
            await bench.client(sandbox, journal=journal, pace=pace).video.submit(**CLIP, references=[PNG])
            assert sandbox.ledger.count(FILES) == uploads


async def test_many_with_one_key_upload_and_submit_once(runs: Runs, tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path / "run.db") as journal:
        client = runs.bench.client(runs.sandbox, journal=journal)
        found: list[str] = []

        async def submit() -> None:
            task = await client.video.submit(**CLIP, idempotency_key="k", references=[PNG])
            found.append(task.task_id)

        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(submit)
    assert len(set(found)) == 1
    assert runs.sandbox.ledger.count(FILES) == runs.sandbox.ledger.count(SUBMIT) == 1


async def test_the_journal_of_a_clip_holds_no_address_of_the_moment(runs: Runs, tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path / "run.db", keep_requests=True) as journal:
        client = runs.bench.client(runs.sandbox, journal=journal)
        await client.video.submit(**CLIP, idempotency_key="k", references=[PNG])
        (entry,) = await journal.history("k")
    (item,) = json.loads(entry.request or "")["metadata"]["content"]
    assert item["image_url"]["url"].startswith("sha256:")


@pytest.mark.parametrize("dialect", ["gateway"])  # which alone tells it
async def test_a_chained_scene_replays_by_its_task(bench: Bench, tmp_path: Path) -> None:
    sandbox, client, pace = bench.filming()
    one = await client.video.generate(**CLIP, return_last_frame=True)
    runs = Runs(bench, sandbox, tmp_path)
    first = await runs.submit("two", first_frame=one)
    asked = sandbox.ledger.count(FETCH)
    moved = one.model_copy(update={"last_frame_url": "https://elsewhere.example/frame.png"})
    assert (await runs.submit("two", first_frame=moved)).task_id == first.task_id
    assert sandbox.ledger.count(FETCH) == asked
    assert pace.sleeps


async def test_nothing_is_remembered_for_another_client(bench: Bench) -> None:
    sandbox = bench.sandbox()
    for _ in range(2):
        client: AsyncRelayDance = bench.client(sandbox)
        await client.video.submit(**CLIP, references=[PNG])
    assert sandbox.ledger.count(FILES) == 2
