"""What `video.submit` sends, and what it refuses before anything is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from relaydance_async import (
    AsyncRelayDance,
    AudioReference,
    FirstFrame,
    ImageReference,
    InvalidInputError,
    LastFrame,
    VideoReference,
)
from relaydance_async._sansio.request import build_model, build_post
from relaydance_async.models.video import VideoRequest
from relaydance_async.resources.video import SUBMIT
from relaydance_async.sandbox import Sandbox

PICTURE = "https://files.example/a.png"


def build(**arguments: Any) -> dict[str, Any]:
    video = build_model(VideoRequest, {"model": "m", "prompt": "a cat", **arguments})
    body = build_post(SUBMIT.target(), video.body()).body
    assert isinstance(body, bytes)
    sent: dict[str, Any] = json.loads(body)
    return sent


def test_the_body_is_the_documented_one() -> None:
    body = build(
        seconds=10,
        ratio="16:9",
        resolution="1080p",
        generate_audio=True,
        callback_url="https://me.example/hook",
        references=[PICTURE, VideoReference("https://files.example/b"), AudioReference("https://files.example/c")],
        metadata={"seed": 7},
    )
    assert body == {
        "model": "m",
        "prompt": "a cat",
        "seconds": "10",
        "metadata": {
            "seed": 7,
            "ratio": "16:9",
            "resolution": "1080p",
            "generate_audio": True,
            "callback_url": "https://me.example/hook",
            "content": [
                {"type": "image_url", "image_url": {"url": PICTURE}, "role": "reference_image"},
                {"type": "video_url", "video_url": {"url": "https://files.example/b"}, "role": "reference_video"},
                {"type": "audio_url", "audio_url": {"url": "https://files.example/c"}, "role": "reference_audio"},
            ],
        },
    }


def test_what_is_not_given_is_not_sent() -> None:
    assert build() == {"model": "m", "prompt": "a cat"}
    assert build(seconds=None, ratio=None, generate_audio=None, callback_url=None) == build()
    assert build(generate_audio=False)["metadata"] == {"generate_audio": False}


@pytest.mark.parametrize(
    ("seconds", "sent"), [(10, "10"), (10.0, "10"), (7.5, "7.5"), ("10", "10"), (15, "15"), ("auto", "auto")]
)
def test_seconds_are_sent_as_a_string(seconds: Any, sent: str) -> None:
    assert build(seconds=seconds)["seconds"] == sent


@pytest.mark.parametrize("seconds", [True, False, float("nan"), float("inf"), 0, 0.0, -1, -0.5, 10**400, [10], b"\xff"])
def test_seconds_that_are_no_length_are_refused(seconds: Any) -> None:
    with pytest.raises(InvalidInputError, match="seconds"):
        build(seconds=seconds)


@pytest.mark.parametrize(
    ("kind", "limit"), [(ImageReference, 9), (VideoReference, 3), (AudioReference, 3), (FirstFrame, 1), (LastFrame, 1)]
)
def test_references_are_counted_by_kind(kind: Any, limit: int) -> None:
    references = [kind(f"https://files.example/{n}") for n in range(limit + 1)]
    assert len(build(references=references[:limit])["metadata"]["content"]) == limit
    with pytest.raises(InvalidInputError, match=f"{limit + 1} references .* at most {limit}"):
        build(references=references)


def test_each_kind_has_a_count_of_its_own() -> None:
    references = [
        *(ImageReference(f"https://files.example/{n}") for n in range(9)),
        *(VideoReference(f"https://files.example/{n}") for n in range(3)),
        *(AudioReference(f"https://files.example/{n}") for n in range(3)),
    ]
    assert len(build(references=references)["metadata"]["content"]) == 15


def test_the_order_is_kept_because_the_prompt_cites_by_it() -> None:
    urls = [f"https://files.example/{n}.png" for n in (3, 1, 2)]
    assert [item["image_url"]["url"] for item in build(references=urls)["metadata"]["content"]] == urls


@pytest.mark.parametrize("frame", [FirstFrame(PICTURE), LastFrame(PICTURE)])
def test_a_first_or_last_frame_excludes_reference_images(frame: Any) -> None:
    with pytest.raises(InvalidInputError, match="excludes reference images"):
        build(references=[frame, PICTURE])
    build(references=[frame, AudioReference("https://files.example/a")])


def test_a_first_and_a_last_frame_go_together() -> None:
    content = build(references=[FirstFrame(PICTURE), LastFrame(PICTURE)])["metadata"]["content"]
    assert [item["role"] for item in content] == ["first_frame", "last_frame"]


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://files.example/a.png", "image_url"),
        ("https://files.example/a", "image_url"),
        ("https://files.example/a.MP4", "video_url"),
        ("https://files.example/a.mov?token=x.png", "video_url"),
        ("https://files.example/a.mp3#t=1", "audio_url"),
        ("https://files.example/a.wav", "audio_url"),
        ("asset://abc", "image_url"),
    ],
)
def test_a_plain_url_is_known_by_its_ending(url: str, kind: str) -> None:
    (item,) = build(references=[url])["metadata"]["content"]
    assert item["type"] == kind
    assert item[kind] == {"url": url}


@pytest.mark.parametrize(
    "path",
    ["product.jpg", "./a/b.png", "/home/me/a.png", "C:\\pictures\\a.png", "", " https://files.example/a.png"],
)
@pytest.mark.parametrize("as_reference", [str, ImageReference])
def test_a_local_path_gives_an_error_that_says_to_upload_it(path: str, as_reference: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"is not a URL; upload a local file first: .*files\.upload"):
        build(references=[as_reference(path)])


@pytest.mark.parametrize("reference", [5, None, b"https://files.example/a", {"url": PICTURE}, ImageReference(5)])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def test_what_is_no_reference_is_refused_by_its_place(reference: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"references\.1"):
        build(references=[PICTURE, reference])


def test_one_url_instead_of_a_list_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="references"):
        build(references=PICTURE)


def test_any_metadata_goes_through_as_it_is() -> None:
    metadata = {"seed": 7, "camera_fixed": True, "anything": {"nested": [1, None]}, "watermark": None}
    assert build(metadata=metadata)["metadata"] == metadata


@pytest.mark.parametrize(
    "given",
    [{"ratio": "16:9"}, {"resolution": "720p"}, {"generate_audio": False}, {"callback_url": "https://me.example"}],
)
def test_a_key_given_twice_is_refused(given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises(InvalidInputError, match=f"given twice.*{name}"):
        build(**given, metadata={name: "x"})
    assert build(metadata={name: "x"})["metadata"] == {name: "x"}


def test_references_and_content_in_metadata_are_one_too_many() -> None:
    with pytest.raises(InvalidInputError, match=r"given twice.*content"):
        build(references=[PICTURE], metadata={"content": []})


WRONG: list[dict[str, Any]] = [
    {"seconds": 0},
    {"references": ["product.jpg"]},
    {"references": [FirstFrame(PICTURE), PICTURE]},
    {"metadata": {"ratio": "1:1"}, "ratio": "16:9"},
    {"metadata": {"seed": float("nan")}},
    {"metadata": {"seed": object()}},
    {"model": ""},
    {"prompt": ""},
    {"prompt": None},
    {"prompt": "\ud800"},
]


@pytest.mark.anyio
@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: "-".join(wrong))
@pytest.mark.parametrize("method", ["submit", "generate"])
async def test_a_wrong_argument_is_refused_before_any_request(wrong: dict[str, Any], method: str) -> None:
    with Sandbox() as sandbox:
        async with AsyncRelayDance(sandbox.api_key, base_url=sandbox.base_url) as client:
            with pytest.raises(InvalidInputError) as caught:
                await getattr(client.video, method)(**{"model": "m", "prompt": "a cat", **wrong})
        assert isinstance(caught.value, ValueError)
        assert sandbox.ledger.entries == []


@pytest.mark.anyio
@pytest.mark.parametrize("dialect", ["gateway", "documented"])
async def test_the_gateway_takes_what_is_sent(dialect: Any) -> None:
    async with (
        Sandbox(dialect=dialect) as sandbox,
        AsyncRelayDance(sandbox.api_key, base_url=sandbox.base_url) as client,
    ):
        task = await client.video.submit(
            model="doubao-seedance-2-0-1080p",
            prompt="@image1 turns",
            seconds=10,
            ratio="16:9",
            resolution="1080p",
            generate_audio=True,
            references=[PICTURE, "https://files.example/b.mp4", AudioReference("asset://c")],
            metadata={"seed": 7},
            extra_body={"not_known_yet": True},
        )
        assert task.status == "submitted"
        assert sandbox.ledger.accepted("POST /v1/video/generations") == 1


def test_a_null_of_the_caller_within_metadata_is_sent_and_one_of_an_argument_is_not() -> None:
    body = build(ratio=None, seconds=None, metadata={"seed": None, "camera": {"fixed": None}})
    assert body == {"model": "m", "prompt": "a cat", "metadata": {"seed": None, "camera": {"fixed": None}}}


def test_the_named_metadata_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[ImageReference] = []
    content_item = ImageReference.content_item

    def counted(reference: ImageReference) -> dict[str, Any]:
        asked.append(reference)
        return content_item(reference)

    monkeypatch.setattr(ImageReference, "content_item", counted)
    build(references=[PICTURE])
    assert len(asked) == 1
