"""The result host: real clips, ranges, and a record of every leaked key."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from relaydance_async.sandbox import TaskPlan, TaskScript
from tests.sandbox.support import Caller, Starter

CLIPS = "CDN /clips/{name}"


def finished(start: Starter, **options: object) -> tuple[Caller, str]:
    caller = start(tasks=TaskPlan(TaskScript(0, 0)), time_scale=0, **options)
    return caller, caller.sandbox.clip_url(caller.submitted())


def boxes(data: bytes) -> list[str]:
    """The top-level boxes of an mp4, whose sizes must add up."""
    at, found = 0, list[str]()
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        if size == 1:
            (size,) = struct.unpack(">Q", data[at + 8 : at + 16])
        found.append(kind.decode())
        at += size
    assert at == len(data)
    return found


def test_a_clip_is_an_mp4_that_can_play_before_it_is_whole(start: Starter) -> None:
    caller, url = finished(start)
    answer = caller.download(url)
    assert answer.headers["content-type"] == "video/mp4"
    kinds = boxes(answer.content)
    assert kinds[0] == "ftyp"
    assert kinds.index("moov") < kinds.index("mdat")


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed")
def test_a_clip_satisfies_ffprobe(start: Starter, tmp_path: Path) -> None:
    caller, url = finished(start, clip_bytes=100_000)
    path = tmp_path / "clip.mp4"
    path.write_bytes(caller.download(url).content)
    command = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", str(path)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    assert found.stdout.split() == ["h264", "aac"]
    assert found.stderr == ""


def test_clips_of_two_tasks_differ(start: Starter) -> None:
    caller, url = finished(start)
    other = caller.sandbox.clip_url(caller.submitted())
    assert caller.download(url).content != caller.download(other).content


def test_a_clip_has_the_size_asked_for(start: Starter) -> None:
    caller, url = finished(start, clip_bytes=3_000_000)
    answer = caller.download(url)
    assert len(answer.content) == int(answer.headers["content-length"]) == 3_000_000
    assert boxes(answer.content)[-1] == "free"
    assert caller.download(url, range="bytes=2999990-").content == answer.content[-10:]


def test_a_gigabyte_is_served_in_ranges_without_being_made(start: Starter) -> None:
    caller, url = finished(start, clip_bytes=2**30)
    answer = caller.http.head(url)
    assert answer.headers["content-length"] == str(2**30)
    assert caller.download(url, range=f"bytes={2**30 - 4}-").content == bytes(4)


def test_ranges_of_every_form(start: Starter) -> None:
    caller, url = finished(start)
    whole = caller.download(url).content
    length = len(whole)
    wanted = {
        "bytes=0-0": whole[:1],
        "bytes=10-19": whole[10:20],
        "bytes=100-": whole[100:],
        "bytes=-7": whole[-7:],
        f"bytes=5-{length * 2}": whole[5:],
    }
    for header, expected in wanted.items():
        answer = caller.download(url, range=header)
        assert answer.status_code == 206
        assert answer.content == expected
        start_at = length - 7 if header == "bytes=-7" else int(header[6:].split("-")[0])
        assert answer.headers["content-range"] == f"bytes {start_at}-{start_at + len(expected) - 1}/{length}"


@pytest.mark.parametrize("header", ["bytes=a-b", "bytes=-", "items=0-1", "bytes=0-1,3-4"])
def test_a_range_that_is_not_understood_gets_everything(start: Starter, header: str) -> None:
    caller, url = finished(start)
    assert caller.download(url, range=header).status_code == 200


@pytest.mark.parametrize("header", ["bytes=99999999-", "bytes=5-4", "bytes=-0"])
def test_a_range_outside_is_a_416(start: Starter, header: str) -> None:
    caller, url = finished(start)
    answer = caller.download(url, range=header)
    assert answer.status_code == 416
    assert answer.headers["content-range"].startswith("bytes */")


def test_if_range_holds_only_for_the_same_bytes(start: Starter) -> None:
    caller, url = finished(start)
    etag = caller.http.head(url).headers["etag"]
    assert caller.download(url, **{"range": "bytes=0-1", "if-range": etag}).status_code == 206
    assert caller.download(url, **{"range": "bytes=0-1", "if-range": '"other"'}).status_code == 200
    assert caller.download(url, **{"if-none-match": etag}).status_code == 304


def test_head_has_the_length_and_no_body(start: Starter) -> None:
    caller, url = finished(start)
    answer = caller.http.head(url)
    assert int(answer.headers["content-length"]) > 20_000
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.content == b""


def test_a_leaked_key_is_counted_and_not_kept(start: Starter) -> None:
    caller, url = finished(start)
    caller.download(url)
    assert caller.sandbox.ledger.cdn_authorizations == 0
    caller.download(url, authorization=f"Bearer {caller.sandbox.api_key}")
    assert caller.sandbox.ledger.cdn_authorizations == 1
    assert caller.sandbox.api_key not in str(caller.sandbox.ledger.to_json())


def test_downloads_are_counted_apart_from_api_requests(start: Starter) -> None:
    caller, url = finished(start)
    caller.download(url)
    caller.download(url, range="bytes=0-1")
    ledger = caller.sandbox.ledger
    assert ledger.count() == len(ledger.entries) == 1
    assert (ledger.count(CLIPS), ledger.count(CLIPS, status=206)) == (2, 1)
    assert [entry.task_id for entry in ledger.cdn_entries] == [ledger.entries[0].task_id] * 2


def test_what_is_not_there_is_a_404(start: Starter) -> None:
    caller = start(time_scale=0)
    unfinished = caller.submitted()
    for path in (f"/clips/{unfinished}.mp4", "/clips/none.mp4", "/images/none.png", "/files/file_x/a", "/", "/clips/"):
        assert caller.download(caller.sandbox.cdn_url + path).status_code == 404
    assert caller.http.post(caller.sandbox.cdn_url + "/clips/none.mp4").status_code == 405


def test_a_signed_url_expires_and_a_new_fetch_gives_a_fresh_one(start: Starter) -> None:
    caller = start(tasks=TaskPlan(TaskScript(0, 0)), time_scale=0)
    task_id = caller.submitted()
    url = caller.fetch(task_id)["data"]["result_url"]
    assert caller.download(url).status_code == 200
    caller.sandbox.clock.advance(1799)
    assert caller.download(url).status_code == 200
    caller.sandbox.clock.advance(1)
    answer = caller.download(url, range="bytes=0-1")
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/xml")
    assert "<Code>AccessDenied</Code><Message>Request has expired</Message>" in answer.text
    fresh = caller.fetch(task_id)["data"]["result_url"]
    assert fresh != url
    assert caller.download(fresh).status_code == 200
    assert caller.sandbox.ledger.count(CLIPS, status=403, accepted=False) == 1


def test_two_fetches_in_a_row_give_the_same_url_until_half_of_its_time_is_over(start: Starter) -> None:
    caller = start(tasks=TaskPlan(TaskScript(0, 0)), time_scale=0, result_seconds=100)
    task_id = caller.submitted()
    caller.sandbox.clock.advance(500)
    urls: list[str] = []
    for seconds in (0, 50, 1):
        caller.sandbox.clock.advance(seconds)
        urls.append(caller.fetch_video(task_id)["metadata"]["url"])
    assert urls[0] == urls[1] != urls[2]
    caller.sandbox.clock.advance(99)
    assert [caller.download(url).status_code for url in urls[1:]] == [403, 200]


def test_a_signature_opens_its_own_clip_only(start: Starter) -> None:
    caller, url = finished(start)
    path, _, query = url.partition("?")
    other = caller.sandbox.clip_url(caller.submitted()).partition("?")[0]
    longer = query.replace("X-Amz-Expires=1800", "X-Amz-Expires=9999")
    for wrong, said in (
        (path, "Access Denied"),
        (f"{other}?{query}", "SignatureDoesNotMatch"),
        (f"{path}?{longer}", "SignatureDoesNotMatch"),
        (f"{url}%C3%A4", "SignatureDoesNotMatch"),
    ):
        answer = caller.download(wrong)
        assert answer.status_code == 403
        assert said in answer.text


def test_results_may_stay_for_ever(start: Starter) -> None:
    caller, url = finished(start, result_seconds=None)
    assert url.endswith(".mp4")
    caller.sandbox.clock.advance(1e9)
    assert caller.download(url).status_code == 200
    with pytest.raises(KeyError):
        caller.sandbox.clip_url("none")
