"""What all results have: their circumstances, short reprs, dicts and JSON as OpenAI's client gives them, and HTML."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import copy
import pickle
from base64 import b64encode
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaydance_async import ChatCompletion, Image, ImagesResponse, Model, ModelList, ResponseMeta, VideoTask
from relaydance_async.models._base import Result, WireModel

META = ResponseMeta(request_id="r-1", status_code=200, headers={"a": "b"}, queued=0.5, elapsed=1.5)
TASK: dict[str, Any] = {"task_id": "task_1", "status": "succeeded", "url": "https://cdn.example/1.mp4?sig=secret"}
PNG = b64encode(b"\x89PNG\r\n\x1a\n" + bytes(3000)).decode()


class Seen(WireModel):
    """A result."""

    n: int = 1
    text: str | None = None


def test_the_meta_is_made_when_it_is_asked_for_and_once() -> None:
    made: list[int] = []

    def make() -> ResponseMeta:
        made.append(1)
        return META

    seen = Seen()
    seen.give_meta(make)
    assert made == []
    assert seen.meta is seen.meta is META
    assert seen._request_id == "r-1"
    assert made == [1]


def test_a_result_without_a_call_knows_nothing() -> None:
    assert Seen().meta == ResponseMeta()
    assert Seen()._request_id is None


@pytest.mark.parametrize(
    "result", [Seen(n=2), VideoTask.model_validate(TASK), ModelList(data=[Model(id="m")])], ids=repr
)
def test_the_meta_is_no_part_of_the_result(result: Result) -> None:
    result.give_meta(META)
    without = type(result).model_validate_json(result.model_dump_json())
    assert result == without
    assert "r-1" not in result.model_dump_json() + repr(result) + str(result.to_dict())
    for other in (
        pickle.loads(pickle.dumps(result)),
        copy.copy(result),
        copy.deepcopy(result),
        result.model_copy(),
        result.model_copy(deep=True),
    ):
        assert other == result
        assert other.meta == ResponseMeta()
        assert other is not result
    assert result.meta is META


def test_what_makes_the_meta_is_not_pickled() -> None:
    seen = Seen()
    seen.give_meta(lambda: META)
    assert pickle.loads(pickle.dumps(seen)) == seen


def test_the_meta_is_frozen_and_goes_through_a_pickle() -> None:
    assert pickle.loads(pickle.dumps(META)) == META
    with pytest.raises(AttributeError):
        META.queued = 1.0  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TypeError):
        META.headers["a"] = "c"  # type: ignore[index]  # pyright: ignore[reportIndexIssue]


def test_a_dict_and_json_as_openais_client_gives_them() -> None:
    completion = ChatCompletion.model_validate({"id": "c", "choices": [{"message": {"content": "Hi"}}], "new": [1]})
    assert completion.to_dict() == {"id": "c", "choices": [{"message": {"content": "Hi"}}], "new": [1]}
    assert completion.to_json(indent=None) == '{"id":"c","choices":[{"message":{"content":"Hi"}}],"new":[1]}'
    assert completion.to_json().startswith('{\n  "id": "c"')
    assert completion.to_dict(exclude_unset=False)["usage"] is None
    assert "usage" not in completion.to_dict(exclude_unset=False, exclude_none=True)
    assert VideoTask.model_validate(TASK).to_dict()["task_id"] == "task_1"


# Reprs.


def test_long_bodies_are_cut_in_a_repr() -> None:
    image = Image(b64_json=PNG)
    assert repr(image) == f"Image(url=None, b64_json='{PNG[:60]}…' ({len(PNG)} characters), revised_prompt=None)"
    assert len(repr(ImagesResponse(data=[image] * 3))) < 600
    assert len(repr(Seen.model_validate({"embedding": [0.125] * 1536, "raw": {"a": "x" * 10**6}}))) < 400
    assert repr(Seen(text="short")) == "Seen(n=1, text='short')"
    assert str(image) == repr(image)[len("Image(") : -1].replace(", ", " ").replace("…' (", "…' (")


@pytest.mark.parametrize("length", [10, 400])
def test_a_repr_shows_no_signature(length: int) -> None:
    url = f"https://cdn.example/{'a' * length}?X-Amz-Signature=secret"
    for result in (
        VideoTask.model_validate({**TASK, "url": url, "last_frame_url": url}),
        Image(url=url),
        Seen.model_validate({"link": url, "links": [url] * 30}),
    ):
        assert "secret" not in repr(result) + str(result)


# HTML.


class Parts(HTMLParser):
    """The tags of a page, and where they lead."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        allowed = {"href", "src", "poster", "title", "width", "controls", "preload", "target", "rel"}
        assert {name for name, _ in attrs} <= allowed
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "poster")]

    def handle_data(self, data: str) -> None:
        self.text += data


SAFE_TAGS = {"table", "tr", "td", "th", "video", "br", "a", "img", "code"}


def html_of(result: Any) -> Parts:
    page: str = result._repr_html_()
    parts = Parts(page)
    assert set(parts.tags) <= SAFE_TAGS
    for address in parts.addresses:
        assert address.startswith(("https://", "http://", "data:image/"))
    return parts


def test_a_task_in_a_notebook() -> None:
    parts = html_of(
        VideoTask.model_validate(
            {**TASK, "last_frame_url": "https://cdn.example/1.png", "properties": {"input": "a cat turns"}}
        )
    )
    assert parts.addresses == ["https://cdn.example/1.png", TASK["url"], TASK["url"]]
    assert "succeeded" in parts.text
    assert "a cat turns" in parts.text
    running = html_of(VideoTask.model_validate({"task_id": "t", "status": "running", "progress": 50}))
    assert "50 %" in running.text
    assert "video" not in running.tags
    failed = html_of(VideoTask.model_validate({"task_id": "t", "status": "failed", "error": {"message": "no faces"}}))
    assert "no faces" in failed.text


def test_images_in_a_notebook() -> None:
    parts = html_of(ImagesResponse(data=[Image(url="https://cdn.example/1.png"), Image(b64_json=PNG), Image()]))
    assert parts.addresses == ["https://cdn.example/1.png", f"data:image/png;base64,{PNG}"]
    assert "Image(url=None" in parts.text


def test_models_in_a_notebook() -> None:
    parts = html_of(ModelList(data=[Model(id="grok-4.3", supported_endpoint_types=["openai"]), Model(id="b")]))
    assert "grok-4.3" in parts.text
    assert parts.tags.count("tr") == 3


EVIL = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "data:text/html;base64,PHNjcmlwdD4=",
    'https://a.example/"onload="alert(1)',
    "https://a.example/' onload='x",
    "https://a.example/\n<script>",
    " https://a.example",
    "iVBORw0KGgo<svg onload=alert(1)>",
    'iVBORw0KGgo"onerror="alert(1)',
    "//evil.example/x",
    "file:///etc/passwd",
]


@given(st.sampled_from(EVIL) | st.text())
def test_nothing_from_outside_becomes_markup(text: str) -> None:
    html_of(Image(url=text, b64_json=text, revised_prompt=text))
    html_of(ModelList(data=[Model(id=text, owned_by=text, supported_endpoint_types=[text])]))
    html_of(
        VideoTask.model_construct(
            task_id=text,
            status="succeeded",
            url=text,
            model=text,
            last_frame_url=text,
            metadata={"prompt": text},
            extra={},
        )
    )
