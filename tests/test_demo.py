"""The demo, faster than real time."""

from __future__ import annotations

import copy
import io
import re
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from relaydance_async.cli import _demo, _display, _stage, main
from relaydance_async.cli._clip import find_ffprobe, find_playback_problem, find_structure_problem
from relaydance_async.cli._crash import Crash, find_crash_faults, kill_and_resume
from relaydance_async.cli._picture import build_picture
from relaydance_async.cli._stage import SUBMIT, Stage
from relaydance_async.cli._tally import Tally
from relaydance_async.cli._verdict import find_faults, find_ledger_faults, find_reason_faults
from relaydance_async.sandbox import Fault

CLIPS = 8


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_demo, "SPEED", 200.0)
    # ffprobe and the job that is killed take longer than all else; they have tests of their own.
    monkeypatch.setattr(_demo, "MOST_PROBED", 0)

    async def kill_nothing(*args: object) -> Crash:
        return Crash(0)

    monkeypatch.setattr(_demo, "kill_and_resume", kill_nothing)


def demo(*arguments: str) -> int:
    return main(["demo", "--clips", str(CLIPS), *arguments])


def add_fault(monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    """One more thing that goes wrong, before all others."""
    build = _stage.build_faults
    monkeypatch.setattr(_stage, "build_faults", lambda: [fault, *build()])


def test_all_goes_well_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(_demo, "kill_and_resume", kill_and_resume)
    assert demo("--out", str(tmp_path / "clips")) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\r" not in said
    for line in (
        f"Submitted   {CLIPS}",
        f"Succeeded   {CLIPS - 1}",
        "Failed      1",
        "Duplicates  0",
        "Key leaks   0",
        "You said: In one sentence: why is the sea salty? [stop",
        "All is as it must be.",
    ):
        assert f"\n{line}" in said or line in said.splitlines()[3]
    resumed = number_in(said, r"\nResumed     (\d+) clips are saved")
    for name in "Accepted", "Billed":
        assert number_in(said, rf"\n{name:<11} (\d+) clips") == CLIPS + resumed
    assert number_in(said, r"\nIn doubt    (\d+), ") >= number_in(said, r"\nWebhooks    decided (\d+) of them")
    assert re.search(r"clip \d+ \(task_\w+\): the upstream ran out of GPUs\n", said)
    assert len(list((tmp_path / "clips").glob("*.mp4"))) == CLIPS - 1
    assert len(list((tmp_path / "clips").iterdir())) == CLIPS - 1
    megabytes = sum(path.stat().st_size for path in (tmp_path / "clips").iterdir()) / 1e6
    assert f"\nSaved       {CLIPS - 1} clips, {megabytes:.2f} MB" in said


def number_in(text: str, pattern: str) -> int:
    found = re.search(pattern, text)
    assert found is not None, text
    return int(found[1])


def test_on_a_terminal_there_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120)
    monkeypatch.setattr(_demo, "open_display", lambda: _display.Display(console))
    assert demo() == 0
    assert f"{CLIPS}/{CLIPS}" in screen.getvalue()
    assert "━" in screen.getvalue()


def test_one_clip_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--clips", "1"]) == 0
    assert "\nSucceeded   1\n" in capsys.readouterr().out


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert demo() == 0


def test_a_clip_that_is_paid_twice_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Accepted, and yet answered with an error: against the documentation, so the client repeats it.
    add_fault(monkeypatch, Fault(SUBMIT, status=500, at=(2,), after_accept=True))
    assert demo() == 1
    said = capsys.readouterr().out
    assert f"the server billed {CLIPS + 1} clips, not {CLIPS}" in said
    assert "the server accepted 1 requests twice" in said
    assert "All is as it must be" not in said


def test_a_clip_that_is_no_mp4_is_found(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    add_fault(monkeypatch, Fault("CDN /clips/{name}", body=b"not a clip at all", at=(1,)))
    assert demo() == 1
    assert "the box at byte 0 of 17 does not fit" in capsys.readouterr().out


def test_a_submit_that_fails_for_good_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add_fault(monkeypatch, Fault(SUBMIT, status=400, at=(3,)))
    assert demo() == 1
    said = capsys.readouterr().out
    assert re.search(r"clip \d+ was not submitted: HTTP 400", said)
    assert f"{CLIPS - 1} of {CLIPS} clips were submitted" in said


GOOD_LEDGER: dict[str, Any] = {
    "routes": {
        SUBMIT: {"accepted": 200, "billed": 200, "duplicates": 0},
        "POST /v1/files": {"accepted": 1, "duplicates": 0},
        "POST /v1/chat/completions": {"accepted": 1, "duplicates": 0},
        "POST /v1/images/generations": {"accepted": 1, "duplicates": 0},
    },
    "cdn_authorizations": 0,
}


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        (("routes", SUBMIT, "accepted"), 201, "the server accepted 201 clips, not 200"),
        (("routes", SUBMIT, "billed"), 199, "the server billed 199 clips, not 200"),
        (("routes", SUBMIT, "duplicates"), 2, "the server accepted 2 requests twice"),
        (("routes", "POST /v1/files", "accepted"), 2, "POST /v1/files was accepted 2 times, not once"),
        (("cdn_authorizations",), 1, "the key was sent to the result host 1 times"),
    ],
)
def test_a_wrong_ledger_is_a_fault(path: tuple[str, ...], value: int, why: str) -> None:
    assert list(find_ledger_faults(GOOD_LEDGER, 200)) == []
    ledger = copy.deepcopy(GOOD_LEDGER)
    inner = ledger
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    assert list(find_ledger_faults(ledger, 200)) == [why]


@pytest.mark.parametrize(
    "wrong",
    [{"submitted": 9}, {"succeeded": 8}, {"checked": 8}, {"failed": {}}, {"problems": ["no"]}],
)
def test_a_wrong_count_is_a_fault(wrong: dict[str, Any]) -> None:
    right: dict[str, Any] = {"submitted": 10, "succeeded": 9, "checked": 9, "failed": {"clip 1": _stage.FAIL_REASON}}
    assert list(find_faults(Tally(10, **right), failing=1)) == []
    assert list(find_faults(Tally(10, **{**right, **wrong}), failing=1))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"paid": Counter({0: 1, 1: 2, 2: 1})}, "rows [1] of the killed job were paid for twice"),
        ({"saved": {0, 1}}, "rows [2] of the killed job were lost"),
        ({"saved": {0, 1}, "doubts": {2}}, "rows [2] of the killed job were paid for, and are in doubt"),
    ],
)
def test_a_wrong_end_of_the_killed_job_is_a_fault(wrong: dict[str, Any], why: str) -> None:
    right: dict[str, Any] = {"paid": Counter(range(3)), "saved": {0, 1, 2}}
    assert list(find_crash_faults(Crash(3, **right))) == []
    assert list(find_crash_faults(Crash(3, **{**right, **wrong}))) == [why]


def test_a_wrong_reason_is_a_fault() -> None:
    assert list(find_reason_faults(Tally(1, failed={"clip 1": _stage.FAIL_REASON}))) == []
    assert list(find_reason_faults(Tally(1, failed={"clip 1": "other"}))) == [
        "clip 1 failed with another reason: other"
    ]


def test_the_same_seed_chooses_the_same_clips() -> None:
    prompts = [f"clip {n}" for n in range(200)]
    first, again, other = Stage(prompts, 7), Stage(prompts, 7), Stage(prompts, 8)
    assert (first.slow_prompt, first.failing_prompt) == (again.slow_prompt, again.failing_prompt)
    assert (first.slow_prompt, first.failing_prompt) != (other.slow_prompt, other.failing_prompt)


def box(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", 8 + len(data)) + kind + data


MOVIE = box(b"ftyp", b"isom") + box(b"moov", b"m" * 20) + box(b"mdat", b"d" * 30)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (MOVIE, None),
        (MOVIE + struct.pack(">I4sQ", 1, b"free", 20) + b"data", None),
        (MOVIE + struct.pack(">I4s", 0, b"free") + b"to the end", None),
        (MOVIE[:-1], "the box at byte 40 of 77 does not fit"),
        (MOVIE + b"\0\0\0", "the box at byte 78 of 81 does not fit"),
        (MOVIE + struct.pack(">I4sQ", 1, b"free", 4), "the box at byte 78 of 94 does not fit"),
        (MOVIE + struct.pack(">I4s", 7, b"free"), "the box at byte 78 of 86 does not fit"),
        (box(b"ftyp") + box(b"moov"), "no mdat box"),
        (b"", "no ftyp, mdat, moov box"),
    ],
)
def test_the_boxes_of_a_clip(tmp_path: Path, data: bytes, problem: str | None) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(data)
    assert find_structure_problem(path) == problem


@pytest.mark.anyio
async def test_ffprobe_knows_a_clip_from_its_boxes_alone(tmp_path: Path) -> None:
    ffprobe = await find_ffprobe()
    if ffprobe is None:
        pytest.skip("ffprobe is not installed")
    good, bad = tmp_path / "good.mp4", tmp_path / "bad.mp4"
    good.write_bytes(Path(_stage.__file__).parents[1].joinpath("sandbox", "data", "clip.mp4").read_bytes())
    bad.write_bytes(MOVIE)
    assert await find_playback_problem(ffprobe, good) is None
    assert find_structure_problem(bad) is None
    assert await find_playback_problem(ffprobe, bad) is not None


def test_the_picture_is_a_png() -> None:
    picture = build_picture()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", picture[16:24]) == (512, 512)
    assert picture.endswith(b"IEND\xae\x42\x60\x82")
